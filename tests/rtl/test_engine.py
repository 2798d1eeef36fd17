"""Engines compute what the simulator does, whatever the streams around them do."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgetrain.kernels.rtl.unrolled_engine import unrolled_engine
from edgetrain.pipeline import compile_model
from edgetrain.workloads import find_model
from tests.c.harness import make_program
from tests.rtl.engines import assert_equal
from tests.rtl.test_unrolled import network

CALLS = ["infer"] * 40
CYCLES = 9


@pytest.mark.one_in(12)
@pytest.mark.parametrize("seed", range(100))
def test_random_networks(seed: int, tmp_path: Path) -> None:
    program = make_program([network(seed)])
    narrow = (1024, 64, 16)[seed % 3]
    engine = unrolled_engine(program, program.entry("infer"), CYCLES, narrow)
    assert_equal(program, engine, CALLS, tmp_path, seed if seed % 4 else 0)


def test_the_shipped_detector(tmp_path: Path) -> None:
    program = compile_model(find_model("can-ids-w2a2"), "host")
    alone = replace(program, entries=(program.entry("infer"),))
    engine = unrolled_engine(alone, alone.entry("infer"), CYCLES)
    assert engine.entries[0].interval == 1
    assert_equal(alone, engine, CALLS, tmp_path, 5)
