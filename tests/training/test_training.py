"""A device that learns: the known workload, bit for bit on targets, and input that it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.kernel import Target
from edgetrain.compiler.onnx_io.export import export_graph
from edgetrain.compiler.onnx_io.load import import_model
from edgetrain.compiler.passes import run_passes
from edgetrain.compiler.passes.dead_nodes import DeadNodes
from edgetrain.compiler.passes.fuse_into_fold import FuseIntoFold
from edgetrain.compiler.passes.fuse_maps import FuseMaps
from edgetrain.compiler.passes.recompute import Recompute
from edgetrain.compiler.plan import plan
from edgetrain.compiler.rules import RULES, Learning
from edgetrain.compiler.rules.parameters import with_parameters
from edgetrain.networks import reference_network
from edgetrain.pipeline import compile_model
from edgetrain.simulator import Simulator
from edgetrain.workloads import model_file
from tests.oracles.onnxruntime_runs import Device
from tests.support import assert_bit_exact, needs_tool
from tests.training.goals import GOALS
from tests.training.models import random_layers, write_mlp


def mean_loss(simulator: Simulator, samples: Any) -> float:
    """Over the ten samples, without learning from them."""
    kept = dict(simulator.state)
    losses = []
    for i, x in enumerate(samples):
        losses.append(simulator.train_step(x, i % 5))
        simulator.load_state(kept)
    return float(np.mean(losses))


def test_the_workload_learns_as_it_is_known_to() -> None:
    network = reference_network("mlp-64-32-16-5-fp32")
    assert network is not None
    samples = network.samples
    with model_file(network.name) as path:
        program = compile_model(path, learn="sgd", how=network.learning)
    simulator, onnxruntime = program.simulator(), Device(export_graph(program.sources[-1]))
    assert mean_loss(simulator, samples) == pytest.approx(1.609152, abs=5e-7)
    for step in range(1000):
        for device in (simulator, onnxruntime):
            device.train_step(samples[step % 10], step % 10 % 5)
    assert mean_loss(simulator, samples) == pytest.approx(0.049956, abs=5e-7)
    for name, array in simulator.state.items():
        # A thousand roundings of 2^-24 of numbers of order 1; 2.4e-7 is found.
        np.testing.assert_allclose(onnxruntime.state[name], array, atol=2e-6, rtol=0, err_msg=name)


@pytest.mark.parametrize("learn", sorted(RULES))
@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_fusion_changes_no_bit_and_stores_no_gradient(
    learn: str, decay: float, tmp_path: Path
) -> None:
    weights, biases = random_layers((9, 8, 5), seed=6)
    path = write_mlp(tmp_path / "m.onnx", weights, biases)
    imported = import_model(path)
    infer = with_parameters(imported.graph)
    step = RULES[learn].apply(infer, Learning(decay=decay))
    target = Target("host", frozenset())
    codes = imported.input_code, imported.output_code
    plain, fused = (
        plan([run_passes(step, passes)], target, *codes, {})
        for passes in ((DeadNodes(),), (Recompute(), FuseMaps(), FuseIntoFold(), DeadNodes()))
    )
    shapes = {w.shape for w in weights}
    stored, kept = ({b.type.shape for b in p.of_kind("arena")} & shapes for p in (plain, fused))
    assert stored == shapes
    assert not kept
    left, right = Simulator(plain), Simulator(fused)
    rng = np.random.default_rng(0)
    for _ in range(20):
        # As many inputs as the rule leaves to the caller.
        x = rng.normal(0, 1, step.inputs[0].type.shape).astype(np.float32)
        label = int(rng.integers(5))
        assert left.train_step(x, label) == right.train_step(x, label)
    for name, array in left.state.items():
        assert np.array_equal(array.view(np.uint32), right.state[name].view(np.uint32))


@pytest.mark.parametrize(("learn", "loss"), GOALS)
def test_training_is_bit_exact_on_the_host(learn: str, loss: str, tmp_path: Path) -> None:
    weights, biases = random_layers((11, 9, 5, 3), seed=3)
    activation = {"mse": "Tanh", "bce": "Sigmoid", "hinge": "LeakyRelu"}.get(loss, "Relu")
    path = write_mlp(tmp_path / "m.onnx", weights, biases, activation)
    how = Learning(loss=loss, rate=0.05, decay=0.01 if loss == "mse" else 0.0)
    assert_bit_exact(
        compile_model(path, "host", learn=learn, how=how), tmp_path / "out", samples=200
    )


@pytest.mark.parametrize(
    "board", ["mps2-an386", "mps2-an500", "mps3-an547", "qemu-rv32imc", "bbc_microbit"]
)
def test_training_is_bit_exact_on(board: str, tmp_path: Path) -> None:
    weights, biases = random_layers((7, 6, 5, 3), seed=4)
    path = write_mlp(tmp_path / "m.onnx", weights, biases)
    assert_bit_exact(compile_model(path, board, learn="momentum"), tmp_path / "out", samples=50)


def test_subnormals_survive_on_the_m55(tmp_path: Path) -> None:
    needs_tool("qemu-system-arm")
    tiny = np.finfo(np.float32).tiny
    # One layer, so that subnormal weights meet steps of their own size.
    weights, biases = [np.full((8, 8), tiny / 2, np.float32)], [np.zeros(8, np.float32)]
    path = write_mlp(tmp_path / "m.onnx", weights, biases)
    how = Learning(rate=1e-38)
    assert_bit_exact(
        compile_model(path, "mps3-an547", learn="sgd", how=how), tmp_path / "out", samples=16
    )


def test_what_cannot_learn_is_refused(tmp_path: Path) -> None:
    weights, biases = random_layers((4, 3, 2), seed=1)
    path = write_mlp(tmp_path / "m.onnx", weights, biases)
    with pytest.raises(InputError, match="unknown rule"):
        compile_model(path, learn="magic")
    with pytest.raises(InputError, match="unknown loss"):
        Learning(loss="magic")
    with pytest.raises(InputError, match="does not learn"):
        compile_model(path).simulator().train_step(np.ones(4, np.float32), 0)
