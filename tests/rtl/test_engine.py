"""Engines compute what the simulator does, whatever the streams around them do."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgetrain.compiler.program import Program
from edgetrain.compiler.types import Int
from edgetrain.kernels.rtl.engine import Engine
from edgetrain.kernels.rtl.unrolled_engine import unrolled_engine
from edgetrain.pipeline import compile_model
from edgetrain.simulator import Simulator
from edgetrain.workloads import find_model
from tests.c.harness import make_program
from tests.rtl.streams import frames, run
from tests.rtl.test_unrolled import network
from tests.support import needs_tool

SAMPLES = 40
CYCLES = 9


def assert_equal(program: Program, engine: Engine, scratch: Path, seed: int) -> None:
    """Every answer, and without stalls the cycles promised."""
    needs_tool("iverilog")
    (entry,), (ports,) = program.entries, engine.entries
    kind = program.buffers[entry.inputs[0]].type
    assert isinstance(kind.scalar, Int)
    rng = np.random.default_rng(seed)
    lo, hi = kind.scalar.lo, kind.scalar.hi
    samples = rng.integers(lo, hi, (SAMPLES, *kind.shape), endpoint=True)
    sent = [(0, ports.inputs[0].pack(x)) for x in samples]
    seen = run(engine, frames(engine, sent, seed), scratch, seed=seed)
    simulator = Simulator(program)
    expected = [simulator.run(entry.name, x)[0].ravel().tolist() for x in samples]
    assert [ports.outputs[0].unpack(beats) for beats in seen.answers] == expected
    if seed == 0:
        first = seen.begun[:: ports.inputs[0].beats]
        assert seen.ended[0] - first[0] == ports.cycles
        assert set(np.diff(seen.ended)) == {ports.interval}


@pytest.mark.one_in(12)
@pytest.mark.parametrize("seed", range(100))
def test_random_networks(seed: int, tmp_path: Path) -> None:
    program = make_program([network(seed)])
    narrow = (1024, 64, 16)[seed % 3]
    engine = unrolled_engine(program, program.entry("infer"), CYCLES, narrow)
    assert_equal(program, engine, tmp_path, seed if seed % 4 else 0)


def test_the_shipped_detector(tmp_path: Path) -> None:
    program = compile_model(find_model("can-ids-w2a2"), "host")
    alone = replace(program, entries=(program.entry("infer"),))
    engine = unrolled_engine(alone, alone.entry("infer"), CYCLES)
    assert engine.entries[0].interval == 1
    assert_equal(alone, engine, tmp_path, 5)
