"""Networks in HLS C++ give what the simulator gives, on every sample, however they are folded."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.folding import Folding
from edgetrain.compiler.graph import GraphBuilder
from edgetrain.compiler.types import FLOAT32, TensorType
from edgetrain.kernels.hls.program import print_hls
from tests.c.harness import draw, make_program
from tests.hls.harness import random_foldings, seeds, simulated
from tests.rtl.test_unrolled import network

SAMPLES = 40


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "together" in metafunc.fixturenames:
        groups = seeds(metafunc.config, 8, 100, 10)
        metafunc.parametrize("together", groups, ids=[f"{g.start}-{g.stop - 1}" for g in groups])


@pytest.mark.parametrize("form", ["folded", "unrolled"])
def test_random_networks(together: range, form: str, tmp_path: Path) -> None:
    program = make_program([replace(network(seed), name=f"n{seed}") for seed in together])
    rng = np.random.default_rng([together.start, 7])
    folded = {} if form == "unrolled" else random_foldings(program, rng)
    lanes = {name: int(rng.integers(1, 5)) for e in program.entries for name in e.inputs}
    with simulated(program, tmp_path, folded, unrolled=form == "unrolled", lanes=lanes) as pair:
        for entry in program.entries:
            for _ in range(SAMPLES):
                pair.check(entry, [draw(rng, program.buffers[n].type) for n in entry.inputs])


def test_what_a_folding_is_printed_as() -> None:
    program = make_program([network(0)])
    rng = np.random.default_rng(1)
    wide = {unit: Folding() for unit in random_foldings(program, rng)}
    text = print_hls(program, wide, bytes(32), "test")["et_engine.cpp"]
    assert "#pragma HLS DATAFLOW" in text
    assert "UNROLL" not in text.split("static void in_infer")[0]
    (call, *_) = program.entries[0].calls
    rows, columns = program.buffers[call.inputs[1]].type.shape
    whole = {"matmul_0": Folding(columns, rows)}
    text = print_hls(program, whole, bytes(32), "test")["et_engine.cpp"]
    assert f"for (int pe = 0; pe < {columns}; pe++)" in text
    assert f"for (int simd = 0; simd < {rows}; simd++)" in text
    text = print_hls(program, {}, bytes(32), "test", unrolled=True)["et_engine.cpp"]
    assert "#pragma HLS DATAFLOW" not in text
    assert "type=complete dim=2" in text


def test_the_same_bytes_every_time() -> None:
    first, second = (print_hls(make_program([network(3)]), {}, bytes(32), "test") for _ in range(2))
    assert first == second


def test_floats_are_refused() -> None:
    b = GraphBuilder("infer")
    x = b.input("x", TensorType((3,), FLOAT32))
    b.output("y", b.apply("relu", x))
    with pytest.raises(InputError, match="FLOAT32 has no HLS form"):
        print_hls(make_program([b.build()]), {}, bytes(32), "test")
