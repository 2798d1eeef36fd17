"""Drives an `et_engine` in Icarus Verilog: beats, stalls, resets in mid-frame, state."""

import random
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetrain.kernels.rtl.engine import Engine

BEAT, SETTLE, RESET, WRITE, READ = range(5)


@dataclass(frozen=True)
class Step:
    """One thing that the bench does; `data` is of a beat or of a state.

    BEAT: sends a beat to entry `a`.  SETTLE: waits for the answer's last beat `b` times since the
    start.  RESET: resets, `b` cycles later.  WRITE, READ: of tensor `a` at address `b`.
    """

    kind: int
    a: int = 0
    b: int = 0
    data: int = 0


@dataclass(frozen=True)
class Seen:
    """What came of it: the answers' beats by frame, what was read of state, and for frame after
    frame the cycle of its first beat in and of its last beat out."""

    answers: list[list[int]]
    reads: list[int]
    begun: list[int]
    ended: list[int]


def frames(engine: Engine, inputs: Sequence[tuple[int, Sequence[int]]], seed: int) -> list[Step]:
    """Steps that send each frame, entry and beats, back to back, and wait for the last answer; with
    a `seed` other than 0 some frames are begun before and lost by a reset."""
    rng = random.Random(seed)
    steps = []
    current = 0
    for number, (entry, beats) in enumerate(inputs):
        lost = seed != 0 and rng.random() < 0.1
        if lost or entry != current:
            steps.append(Step(SETTLE, b=number))
        current = entry
        if lost:
            steps += [Step(BEAT, entry, data=beat) for beat in beats[: rng.randint(1, len(beats))]]
            # Before any of the answer can be there.
            ports = engine.entries[entry]
            given = sum(stream.beats for stream in ports.outputs)
            thinking = ports.cycles - (len(beats) - 1) - (given - 1)
            steps.append(Step(RESET, b=rng.randrange(min(3, thinking))))
        steps += [Step(BEAT, entry, data=beat) for beat in beats]
    return [*steps, Step(SETTLE, b=len(inputs))]


def run(engine: Engine, steps: Sequence[Step], scratch: Path, *, seed: int = 0) -> Seen:
    """Carries out `steps`; with a `seed` other than 0 both streams stall at random.

    Fails where an answer changes while it waits, or a thousand cycles a step do not suffice.
    """
    data_bits = max(engine.s_bits, 64)
    words = [
        f"{((step.kind << 8 | step.a) << 32 | step.b) << data_bits | step.data:x}" for step in steps
    ]
    (scratch / "steps.hex").write_text("\n".join(words) + "\n")
    (scratch / "engine.v").write_text(engine.text)
    (scratch / "bench.v").write_text(_bench(engine, len(steps), data_bits, scratch, seed))
    image = str(scratch / "bench.vvp")
    sources = [str(scratch / name) for name in ("bench.v", "engine.v")]
    subprocess.run(["iverilog", "-g2005", "-Wall", "-o", image, *sources], check=True)
    done = subprocess.run(["vvp", "-n", image], check=True, capture_output=True, text=True)
    seen = Seen([], [], [], [])
    answer: list[int] = []
    for line in done.stdout.splitlines():
        kind, *fields = line.split()
        match kind:
            case "m":
                answer.append(int(fields[0], 16))
                if fields[1] == "1":
                    seen.answers.append(answer)
                    seen.ended.append(int(fields[2]))
                    answer = []
            case "s":
                seen.begun.append(int(fields[0]))
            case "r":
                seen.reads.append(int(fields[0], 16))
            case _:
                raise AssertionError(line)
    assert answer == []
    return seen


def _bench(engine: Engine, count: int, data_bits: int, scratch: Path, seed: int) -> str:
    high = data_bits + 47
    return f"""
module bench;
reg [{high}:0] steps [0:{count - 1}];
reg [{high}:0] step;
wire [7:0] kind = step[{high}:{data_bits + 40}];
wire [7:0] a = step[{data_bits + 39}:{data_bits + 32}];
wire [31:0] b = step[{data_bits + 31}:{data_bits}];
reg clk, rst, s_valid, m_ready, state_write;
reg [7:0] entry, state_tensor;
reg [31:0] state_address;
reg [63:0] state_in;
wire [63:0] state_out;
reg [{engine.s_bits - 1}:0] s_data;
wire [{engine.m_bits - 1}:0] m_data;
wire s_ready, m_valid, m_last, busy;
et_engine dut(.clk(clk), .rst(rst), .entry(entry), .s_data(s_data), .s_valid(s_valid),
    .s_ready(s_ready), .m_data(m_data), .m_valid(m_valid), .m_ready(m_ready), .m_last(m_last),
    .busy(busy), .state_tensor(state_tensor), .state_address(state_address),
    .state_write(state_write), .state_in(state_in), .state_out(state_out));
integer i, cycle, answers, stall, other;
reg held, held_last;
reg [{engine.m_bits - 1}:0] held_data;
always #1 clk = ~clk;
always @(posedge clk) begin
    cycle <= cycle + 1;
    if (held && (!m_valid || m_data !== held_data || m_last !== held_last)) begin
        $display("changed while it waited"); $finish;
    end
    held <= m_valid && !m_ready && !rst;
    held_data <= m_data;
    held_last <= m_last;
    if (m_valid && m_ready && !rst) begin
        $display("m %h %b %0d", m_data, m_last, cycle);
        if (m_last) answers <= answers + 1;
    end
    m_ready <= {seed} == 0 || $random(other) % 3 != 0;
    if (cycle > {1000 * count + 1000}) begin $display("too late"); $finish; end
end
initial begin
    $readmemh("{scratch}/steps.hex", steps);
    clk = 0; rst = 1; s_valid = 0; m_ready = 0; state_write = 0; entry = 0; cycle = 0;
    answers = 0; held = 0; stall = {seed}; other = {seed} + 1; s_data = 0;
    state_tensor = 0; state_address = 0; state_in = 0;
    @(posedge clk); @(posedge clk); rst <= 0; @(posedge clk);
    for (i = 0; i < {count}; i = i + 1) begin
        step = steps[i]; #0;
        case (kind)
        {BEAT}: begin
            entry <= a;
            while ({seed} != 0 && $random(stall) % 3 == 0) @(posedge clk);
            s_valid <= 1; s_data <= step[{engine.s_bits - 1}:0];
            @(posedge clk); while (!s_ready) @(posedge clk);
            $display("s %0d", cycle);
            s_valid <= 0;
        end
        {SETTLE}: while (answers < b || busy) @(posedge clk);
        {RESET}: begin
            repeat (b) @(posedge clk);
            rst <= 1; @(posedge clk); rst <= 0; @(posedge clk);
        end
        {WRITE}: begin
            state_tensor <= a; state_address <= b; state_in <= step[63:0]; state_write <= 1;
            @(posedge clk); state_write <= 0; @(posedge clk);
        end
        {READ}: begin
            state_tensor <= a; state_address <= b;
            repeat (3) @(posedge clk);
            $display("r %h", state_out);
        end
        endcase
    end
    repeat (20) @(posedge clk);
    $finish;
end
endmodule
"""
