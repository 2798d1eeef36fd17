"""Folded engines compute what the simulator does, state included, whatever the streams do."""

from pathlib import Path

import numpy as np
import pytest

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.folding import Folding
from edgetrain.compiler.graph import GraphBuilder
from edgetrain.compiler.rules import Learning
from edgetrain.compiler.types import FLOAT32, TensorType
from edgetrain.kernels.rtl.folded import print_folded
from edgetrain.pipeline import compile_model
from edgetrain.simulator import Simulator
from edgetrain.workloads import find_model
from tests.c.harness import draw, make_program
from tests.hls.harness import random_foldings
from tests.rtl.engines import assert_equal
from tests.rtl.streams import WRITE, Step, frames, run
from tests.rtl.test_unrolled import network
from tests.support import needs_tool


@pytest.mark.one_in(10)
@pytest.mark.parametrize("seed", range(100))
def test_random_networks(seed: int, tmp_path: Path) -> None:
    program = make_program([network(seed)])
    folded = random_foldings(program, np.random.default_rng([seed, 3]))
    assert_equal(
        program, print_folded(program, folded), ["infer"] * 12, tmp_path, seed if seed % 4 else 0
    )


def test_the_shipped_detector_with_its_front_end(tmp_path: Path) -> None:
    program = compile_model(find_model("can-ids-w2a2"), "host")
    folded = {
        "matmul_0": Folding(4, 19),
        "threshold_0": Folding(4, 3),
        "matmul_1": Folding(4, 16),
        "threshold_1": Folding(4, 3),
        "matmul_2": Folding(1, 32),
    }
    calls = ["infer", *["can_frame"] * 8, "infer", "infer", "can_frame"]
    assert_equal(program, print_folded(program, folded), calls, tmp_path, 3)


@pytest.mark.parametrize("update", ["last", "all"])
def test_a_network_that_learns(update: str, tmp_path: Path) -> None:
    how = Learning(precision="integer", update=update)
    model = find_model("can-ids-w2a2")
    program = compile_model(model, "host", learn="sgd", how=how)
    calls = ["infer", *["train_step"] * 6, "infer"]
    small = {"matmul_0": Folding(8, 1), "matmul_1": Folding(8, 1), "rescale_1": Folding(2, 1)}
    assert_equal(program, print_folded(program, small), calls, tmp_path, 0)


def test_state_is_written_from_outside(tmp_path: Path) -> None:
    needs_tool("iverilog")
    how = Learning(precision="integer", update="last")
    program = compile_model(find_model("can-ids-w2a2"), "host", learn="sgd", how=how)
    engine = print_folded(program, {"matmul_2": Folding(2, 1)})
    rng = np.random.default_rng(1)
    simulator = Simulator(program)
    state = {n: draw(rng, program.buffers[n].type) for n in ("w2", "latent_w2")}
    simulator.load_state({**simulator.state, **state})
    steps = [
        Step(WRITE, number, tensor.address(i), int(value) % 2**64)
        for number, tensor in enumerate(engine.tensors)
        for i, value in enumerate(simulator.state[tensor.buffer].ravel())
    ]
    inputs = [draw(rng, program.buffers["infer_x"].type) for _ in range(3)]
    sent = [(0, engine.entries[0].inputs[0].pack(x)) for x in inputs]
    seen = run(engine, [*steps, *frames(engine, sent, 0)], tmp_path)
    expected = [simulator.run("infer", x)[0].tolist() for x in inputs]
    assert [engine.entries[0].outputs[0].unpack(beats) for beats in seen.answers] == expected


def test_the_same_bytes_every_time() -> None:
    first, second = (print_folded(p, {}) for p in [make_program([network(3)])] * 2)
    assert first == second


def test_floats_are_refused() -> None:
    learning = compile_model(find_model("can-ids-w2a2"), "host", learn="sgd")
    with pytest.raises(InputError, match="no RTL"):
        print_folded(learning, {})
    b = GraphBuilder("infer")
    x = b.input("x", TensorType((3,), FLOAT32))
    b.output("y", b.apply("relu", x))
    with pytest.raises(InputError, match="FLOAT32 has no RTL"):
        print_folded(make_program([b.build()]), {})
