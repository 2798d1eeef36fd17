"""Engines beside the simulator: every answer, every state."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgetrain.compiler.program import Program
from edgetrain.kernels.rtl.engine import Engine
from edgetrain.simulator import Simulator
from tests.c.harness import draw
from tests.rtl.streams import READ, Step, frames, run
from tests.support import needs_tool


def assert_equal(
    program: Program, engine: Engine, calls: Sequence[str], scratch: Path, seed: int
) -> None:
    """Answers of `calls`, states after them, and without stalls, of which `seed` 0 has none, the
    cycles promised."""
    needs_tool("iverilog")
    names = [entry.name for entry in program.entries]
    simulator = Simulator(program)
    rng = np.random.default_rng(seed)
    sent, expected = [], []
    for name in calls:
        entry, ports = program.entry(name), engine.entries[names.index(name)]
        inputs = [draw(rng, program.buffers[n].type) for n in entry.inputs]
        beats = [b for s, x in zip(ports.inputs, inputs, strict=True) for b in s.pack(x)]
        sent.append((names.index(name), beats))
        expected.append([y.ravel().tolist() for y in simulator.run(name, *inputs)])
    places = [
        (t, i)
        for t in range(len(engine.tensors))
        for i in range(program.of_kind("state")[t].type.size)
    ]
    reads = [Step(READ, t, engine.tensors[t].address(i)) for t, i in places]
    # What a reset interrupts may have changed states.
    steps = frames(engine, sent, seed if not places else 0)
    seen = run(engine, [*steps, *reads], scratch, seed=seed)
    found = []
    for (number, _), beats in zip(sent, seen.answers, strict=True):
        answer, rest = [], beats
        for stream in engine.entries[number].outputs:
            answer.append(stream.unpack(rest[: stream.beats]))
            rest = rest[stream.beats :]
        found.append(answer)
    assert found == expected
    held = [int(simulator.state[engine.tensors[t].buffer].ravel()[i]) for t, i in places]
    assert [
        engine.tensors[t].value(word) for (t, _), word in zip(places, seen.reads, strict=True)
    ] == held
    if seed == 0:
        ports = engine.entries[sent[0][0]]
        assert seen.ended[0] - seen.begun[0] == ports.cycles
        if len(set(calls)) == 1:
            assert set(np.diff(seen.ended)) == {ports.interval}
