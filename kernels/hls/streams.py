"""Buffers on AXI4-Stream: the functions that take them from beats and give them in beats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgetrain.compiler.program import Buffer, Entry, Program
from edgetrain.compiler.types import TensorType
from edgetrain.kernels.hls.arrays import declare, element, storage
from edgetrain.kernels.hls.expressions import integer
from edgetrain.kernels.rtl.engine import Stream, lanes_within, stream, stream_bits


@dataclass(frozen=True)
class Streams:
    """How every buffer of the outside travels, and how wide the two streams are.

    The beats are those of the RTL (kernels/rtl/engine.py).  A state travels likewise, so that a
    stream is as wide as an element of any state, which the RTL's need not be.
    """

    of: Mapping[str, Stream]
    s_bits: int
    m_bits: int


def streams(program: Program, lanes: Mapping[str, int]) -> Streams:
    """`lanes` elements a beat, by buffer; of others, as many as a beat holds."""
    buffers = program.buffers
    entries = program.entries
    inputs = _travelling([buffers[n] for e in entries for n in e.inputs], lanes)
    outputs = _travelling([buffers[n] for e in entries for n in e.outputs], lanes)
    states = program.of_kind("state")
    alone = [stream(buffer, 1) for buffer in states]
    s_bits = stream_bits([*inputs.values(), *alone])
    m_bits = stream_bits([*outputs.values(), *alone])
    fitting = {
        b.name: stream(b, lanes_within(one.bits, b.type.size, min(s_bits, m_bits)))
        for b, one in zip(states, alone, strict=True)
    }
    return Streams({**inputs, **outputs, **fitting}, s_bits, m_bits)


def _travelling(buffers: Sequence[Buffer], lanes: Mapping[str, int]) -> dict[str, Stream]:
    found = {}
    for buffer in buffers:
        most = lanes_within(integer(buffer.type.scalar).bits, buffer.type.size)
        found[buffer.name] = stream(buffer, lanes.get(buffer.name, most))
    return found


def declaration(name: str, kind: TensorType, *, result: bool) -> str:
    """A C++ parameter: an array, or a scalar by value or, of a result, by reference."""
    text = declare(name, kind)
    if not result:
        return f"const {text}"
    return text if kind.shape else text.replace(" ", " &", 1)


def read_entry(program: Program, entry: Entry, found: Streams, pragmas: Sequence[str]) -> list[str]:
    """The function that takes an entry's inputs from the stream."""
    texts = _parameters(program, entry.inputs, result=True)
    lines = [f"static void in_{entry.name}({', '.join(['et_stream<et_s_beat> &s', *texts])}) {{"]
    lines += pragmas
    for name in entry.inputs:
        lines += _read(program.buffers[name], found.of[name])
    return [*lines, "}"]


def write_entry(
    program: Program, entry: Entry, found: Streams, pragmas: Sequence[str]
) -> list[str]:
    """The function that gives an entry's outputs to the stream."""
    texts = _parameters(program, entry.outputs, result=False)
    lines = [f"static void out_{entry.name}({', '.join([*texts, 'et_stream<et_m_beat> &m'])}) {{"]
    lines += pragmas
    for name in entry.outputs:
        lines += _write(program.buffers[name], found.of[name], last=name == entry.outputs[-1])
    return [*lines, "}"]


def _parameters(program: Program, names: Sequence[str], *, result: bool) -> list[str]:
    buffers = [program.buffers[name] for name in names]
    return [declaration(storage(b), b.type, result=result) for b in buffers]


def state_functions(state: Buffer, found: Streams, pragmas: Sequence[str]) -> list[str]:
    """The functions that give a state to the stream and take it from there."""
    return [
        f"static void save_{state.name}(et_stream<et_m_beat> &m) {{",
        *pragmas,
        *_write(state, found.of[state.name], last=True),
        "}",
        "",
        f"static void load_{state.name}(et_stream<et_s_beat> &s) {{",
        *pragmas,
        *_read(state, found.of[state.name]),
        "}",
    ]


def _turns(form: Stream) -> list[str]:
    return [
        f"    for (int at = 0; at < {form.size}; at += {form.lanes}) {{",
        "#pragma HLS PIPELINE II=1",
    ]


def _lanes(form: Stream, statement: str) -> list[str]:
    """`statement` in each lane that holds an element."""
    rest = form.size % form.lanes
    guard = f"if (at + lane < {form.size}) " if rest else ""
    return [
        f"        for (int lane = 0; lane < {form.lanes}; lane++) {{",
        "#pragma HLS UNROLL",
        f"            {guard}{{" if guard else f"            {statement}",
        *([f"                {statement}", "            }"] if guard else []),
        "        }",
    ]


def _field(form: Stream) -> str:
    return f"beat.data.range({form.bits} * lane + {form.bits - 1}, {form.bits} * lane)"


def _read(buffer: Buffer, form: Stream) -> list[str]:
    place = element(storage(buffer), buffer.type, "at + lane")
    return [
        *_turns(form),
        "        const et_s_beat beat = s.read();",
        *_lanes(form, f"{place} = {_field(form)};"),
        "    }",
    ]


def _write(buffer: Buffer, form: Stream, *, last: bool) -> list[str]:
    place = element(storage(buffer), buffer.type, "at + lane")
    end = f"at + {form.lanes} >= {form.size}" if last else "0"
    return [
        *_turns(form),
        "        et_m_beat beat;",
        "        beat.data = 0;",
        "        beat.keep = -1;",
        "        beat.strb = -1;",
        f"        beat.last = {end};",
        *_lanes(form, f"{_field(form)} = {place};"),
        "        m.write(beat);",
        "    }",
    ]
