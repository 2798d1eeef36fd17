"""The unrolled core between streams: frames in and out back to back, each stall a stalled clock."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgetrain.compiler.program import Entry, Program
from edgetrain.compiler.types import Int
from edgetrain.kernels.rtl.engine import (
    MOST_BITS,
    PORTS,
    Engine,
    Ports,
    Stream,
    lanes_within,
    stream,
    stream_bits,
)
from edgetrain.kernels.rtl.unrolled import print_core


@dataclass(frozen=True, slots=True)
class _Beat:
    """`width` bits of the core's port from `low` on, which travel together."""

    low: int
    width: int


def unrolled_engine(
    program: Program, entry: Entry, cycles: int, most_bits: int = MOST_BITS
) -> Engine:
    """`entry`, the program's only one, through a core of at most so many cycles; a beat has
    `most_bits` at most.  InputError where the core cannot be made."""
    core = print_core(program, entry, cycles)
    inputs, outputs = (
        tuple(_stream(program, name, most_bits) for name in names)
        for names in (entry.inputs, entry.outputs)
    )
    taken, given = _beats(inputs), _beats(outputs)
    s_bits, m_bits = stream_bits(inputs), stream_bits(outputs)
    text = _print(taken, given, core.latency, s_bits, m_bits)
    ports = Ports(
        entry.name,
        inputs,
        outputs,
        # An answer of several beats leaves the core for a register.
        cycles=len(taken) - 1 + core.latency + len(given) - (len(given) == 1),
        interval=max(len(taken), len(given)),
    )
    return Engine(text + core.text, (ports,), (), s_bits, m_bits)


def _stream(program: Program, name: str, most_bits: int) -> Stream:
    buffer = program.buffers[name]
    kind = buffer.type.scalar
    assert isinstance(kind, Int)
    return stream(buffer, lanes_within(kind.bits, buffer.type.size, most_bits))


def _beats(streams: Sequence[Stream]) -> list[_Beat]:
    found, low = [], 0
    for each in streams:
        for first in range(0, each.size, each.lanes):
            width = each.bits * min(each.lanes, each.size - first)
            found.append(_Beat(low, width))
            low += width
    return found


def _print(
    taken: Sequence[_Beat], given: Sequence[_Beat], latency: int, s_bits: int, m_bits: int
) -> str:
    *held, last = taken
    x_bits = last.low + last.width
    y_bits = given[-1].low + given[-1].width
    shifted = f"{{full[{latency - 2}:0], entering}}" if latency > 1 else "entering"
    lines = [
        "module et_engine(",
        PORTS.format(s=s_bits - 1, m=m_bits - 1),
        ");",
        f"wire [{x_bits - 1}:0] x;",
        f"wire [{y_bits - 1}:0] y;",
        "// Which stages hold a sample; the last one is the answer.",
        f"reg [{latency - 1}:0] full;",
        f"wire answered = full[{latency - 1}];",
        "wire last_in, leaves, collecting, giving;",
        "wire ce = ~answered | leaves;",
        "wire entering = s_valid & last_in;",
        "assign s_ready = ~last_in | ce;",
        "assign busy = collecting | (|full) | giving;",
        "assign state_out = 64'd0;",
        "wire unused = &{1'b0, entry, state_tensor, state_address, state_write, state_in, s_data};",
        "always @(posedge clk)",
        f"    if (rst) full <= {latency}'d0;",
        f"    else if (ce) full <= {shifted};",
        *_collect(held, last),
        *_give(given, m_bits),
        "et_core core(.clk(clk), .ce(ce), .x(x), .y(y));",
        "endmodule",
        "",
    ]
    return "\n".join(lines) + "\n"


def _collect(held: Sequence[_Beat], last: _Beat) -> list[str]:
    """What drives x, last_in and collecting: all beats but the last wait in a register."""
    if not held:
        return [
            "assign last_in = 1'b1;",
            "assign collecting = 1'b0;",
            f"assign x = s_data[{last.width - 1}:0];",
        ]
    bits = len(held).bit_length()
    keep = [
        f"        {bits}'d{i}: held[{beat.low + beat.width - 1}:{beat.low}]"
        f" <= s_data[{beat.width - 1}:0];"
        for i, beat in enumerate(held)
    ]
    return [
        *_counter("s_beat", bits, len(held), "s_valid & s_ready", "last_in"),
        "assign collecting = |s_beat;",
        f"reg [{last.low - 1}:0] held;",
        "always @(posedge clk) if (s_valid)",
        "    case (s_beat)",
        *keep,
        "        default: ;",
        "    endcase",
        f"assign x = {{s_data[{last.width - 1}:0], held}};",
    ]


def _give(given: Sequence[_Beat], m_bits: int) -> list[str]:
    """What drives the stream m, giving, and leaves: whether the core can go on."""
    source = "y" if len(given) == 1 else "answer"
    slices = []
    for beat in given:
        missing = m_bits - beat.width
        padding = f"{missing}'d0, " if missing else ""
        slices.append(f"{{{padding}{source}[{beat.low + beat.width - 1}:{beat.low}]}}")
    if len(given) == 1:
        return [
            "assign m_valid = answered;",
            "assign m_last = 1'b1;",
            f"assign m_data = {slices[0]};",
            "assign giving = 1'b0;",
            "assign leaves = m_ready;",
        ]
    bits = (len(given) - 1).bit_length()
    return [
        *_counter("m_beat", bits, len(given) - 1, "m_valid & m_ready", "m_last"),
        f"reg [{given[-1].low + given[-1].width - 1}:0] answer;",
        "reg held_answer;",
        "assign giving = held_answer;",
        "assign m_valid = held_answer;",
        "assign leaves = ~held_answer | (m_ready & m_last);",
        "always @(posedge clk) begin",
        "    if (leaves) answer <= y;",
        "    if (rst) held_answer <= 1'b0;",
        "    else if (leaves) held_answer <= answered;",
        "end",
        f"reg [{m_bits - 1}:0] slice;",
        "always @*",
        "    case (m_beat)",
        *(f"        {bits}'d{i}: slice = {text};" for i, text in enumerate(slices[:-1])),
        f"        default: slice = {slices[-1]};",
        "    endcase",
        "assign m_data = slice;",
    ]


def _counter(name: str, bits: int, most: int, step: str, last: str) -> list[str]:
    """A register that counts steps from 0 to `most` and again, and whether it is there."""
    return [
        f"reg [{bits - 1}:0] {name};",
        f"assign {last} = {name} == {bits}'d{most};",
        "always @(posedge clk)",
        f"    if (rst) {name} <= {bits}'d0;",
        f"    else if ({step}) {name} <= {last} ? {bits}'d0 : {name} + {bits}'d1;",
    ]
