"""The training step as an ONNX file: onnxruntime learns what the simulator learns."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from edgetrain.compiler.ops.loss import LOSSES
from edgetrain.compiler.rules import RULES, Learning
from edgetrain.pipeline import INFERENCE_FILE, MODEL_FILE, compile_model, write_project
from tests.oracles.onnxruntime_runs import Device, Runtime
from tests.training.models import random_layers, write_mlp
from tests.training.test_gradients import ACTIVATIONS

SIZES = (9, 7, 4)
ONE_STEP = 1e-6
"""Sums of at most nine terms of order 1, rounded to 2^-24 each, once forward and once back."""
MANY_STEPS = 1e-5
"""As many roundings of 2^-24 as steps, of parameters of order 1: √1000 of them if they are random;
at these rates learning draws two runs together rather than apart."""


def samples(loss: str, count: int) -> list[tuple[NDArray[np.float32], Any]]:
    rng = np.random.default_rng(len(loss))
    drawn: list[tuple[NDArray[np.float32], Any]] = []
    for _ in range(count):
        x = rng.normal(0, 1, SIZES[0]).astype(np.float32)
        mse = not LOSSES[loss].classifies
        target = rng.normal(0, 1, SIZES[-1]).astype(np.float32) if mse else rng.integers(SIZES[-1])
        drawn.append((x, target))
    return drawn


def follow(
    directory: Path, how: Learning, rule: str, activation: str, steps: int, bound: float
) -> None:
    """Learn with both, and compare every loss and the state at the end."""
    weights, biases = random_layers(SIZES, seed=len(activation))
    path = write_mlp(directory / "net.onnx", weights, biases, activation)
    program = compile_model(path, learn=rule, how=how)
    write_project(program, directory / "out", with_image=False)
    device = Device((directory / "out" / MODEL_FILE).read_bytes())
    simulator = program.simulator()
    drawn = samples(how.loss, min(steps, 10))
    for step in range(steps):
        x, target = drawn[step % len(drawn)]
        assert device.train_step(x, target) == pytest.approx(
            simulator.train_step(x, target), abs=bound, rel=bound
        )
    assert device.state.keys() == simulator.state.keys()
    for name, array in simulator.state.items():
        np.testing.assert_allclose(device.state[name], array, rtol=bound, atol=bound, err_msg=name)


CASES = list(product(sorted(LOSSES), sorted(RULES), ACTIVATIONS))


@pytest.mark.parametrize(("loss", "rule", "activation"), CASES)
def test_one_step(loss: str, rule: str, activation: str, tmp_path: Path) -> None:
    how = Learning(loss=loss, rate=0.05, decay=0.01 if activation == "Relu" else 0.0)
    follow(tmp_path, how, rule, activation, 1, ONE_STEP)


# Every loss, with another activation and rule each.
LONG = [
    (loss, sorted(RULES)[i % len(RULES)], activation)
    for i, (loss, activation) in enumerate(zip(sorted(LOSSES), ACTIVATIONS, strict=False))
]


@pytest.mark.parametrize(("loss", "rule", "activation"), LONG)
def test_a_thousand_steps(loss: str, rule: str, activation: str, tmp_path: Path) -> None:
    follow(tmp_path, Learning(loss=loss, rate=0.002), rule, activation, 1000, MANY_STEPS)


def test_the_files_of_a_project(tmp_path: Path) -> None:
    weights, biases = random_layers(SIZES, seed=2)
    path = write_mlp(tmp_path / "net.onnx", weights, biases)
    program = compile_model(path, learn="momentum")
    for directory in ("first", "second"):
        write_project(program, tmp_path / directory, with_image=False)
    for name in (MODEL_FILE, INFERENCE_FILE):
        content = (tmp_path / "first" / name).read_bytes()
        assert content == (tmp_path / "second" / name).read_bytes()
        onnx.checker.check_model(content, full_check=True)
        assert str(tmp_path) not in content.decode("latin-1")
    step = onnx.load(tmp_path / "first" / MODEL_FILE).graph
    state = list(program.simulator().state)
    assert [v.name for v in step.input] == ["x", "target", *state]
    assert [v.name for v in step.output] == ["loss", *(f"{name}_next" for name in state)]
    inference = Runtime((tmp_path / "first" / INFERENCE_FILE).read_bytes())
    x = samples("mse", 1)[0][0]
    (y,) = program.simulator().infer(x[None])
    np.testing.assert_allclose(inference.run({"x": x})["y"], y, rtol=ONE_STEP, atol=ONE_STEP)
