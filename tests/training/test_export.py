"""The training step as an ONNX file: onnxruntime learns what the simulator learns."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from edgetrain.compiler.onnx_io.export import export_graph
from edgetrain.compiler.ops.loss import LOSSES
from edgetrain.compiler.ops.schedule import SCHEDULES
from edgetrain.compiler.rules import RULES, Learning
from edgetrain.pipeline import INFERENCE_FILE, MODEL_FILE, compile_model, write_project
from tests.oracles.onnxruntime_runs import Device, Runtime
from tests.training.goals import GOALS
from tests.training.models import random_layers, write_mlp
from tests.training.test_gradients import ACTIVATIONS

SIZES = (9, 7, 4)
ONE_STEP = 1e-6
"""Sums of at most nine terms of order 1, rounded to 2^-24 each, once forward and once back."""
AMPLIFIED = {"zeroth-order": 100.0}
"""By how much a rule makes errors of a loss greater: here the difference of two losses is divided
by 2·10⁻³, and multiplied by the rate 0.05 and by a normal number, of which none here exceeds 4."""
HALF_STEP = 2.0**-8
"""Some roundings of 2^-11 in FLOAT16."""
MANY_STEPS = 1e-5
"""As many roundings of 2^-24 as steps, of parameters of order 1: √1000 of them if they are random;
at these rates learning draws two runs together rather than apart."""


def samples(
    loss: str, count: int, batch: int = 1, features: int = SIZES[0]
) -> list[tuple[NDArray[np.float32], Any]]:
    rng = np.random.default_rng(len(loss))
    shape = (batch,) if batch > 1 else ()
    drawn: list[tuple[NDArray[np.float32], Any]] = []
    for _ in range(count):
        x = rng.normal(0, 1, (*shape, features)).astype(np.float32)
        target: Any = rng.integers(SIZES[-1], size=shape)
        if not LOSSES[loss].classifies:
            draw = rng.random if loss == "multilabel" else rng.standard_normal
            target = draw((*shape, SIZES[-1])).astype(np.float32)
        drawn.append((x, target))
    return drawn


def follow(
    directory: Path,
    how: Learning,
    rule: str,
    activations: list[str],
    steps: int,
    bound: float,
    board: str = "host",
) -> None:
    """Learn with both, and compare every loss and the state at the end."""
    sizes = (SIZES[0], *[SIZES[1]] * len(activations), SIZES[-1])
    weights, biases = random_layers(sizes, seed=len(how.loss))
    path = write_mlp(directory / "net.onnx", weights, biases, activations)
    program = compile_model(path, board, learn=rule, how=how)
    simulator, device = program.simulator(), Device(export_graph(program.sources[-1]))
    features = program.input_code.type.size
    drawn = samples(how.loss, min(steps, 10), how.batch, features)
    for step in range(steps):
        x, target = drawn[step % len(drawn)]
        assert device.train_step(x, target) == pytest.approx(
            simulator.train_step(x, target), abs=bound, rel=bound
        )
    assert device.state.keys() == simulator.state.keys()
    for name, array in simulator.state.items():
        np.testing.assert_allclose(device.state[name], array, rtol=bound, atol=bound, err_msg=name)


@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize(("rule", "loss"), GOALS)
def test_one_step(rule: str, loss: str, decay: float, tmp_path: Path) -> None:
    how = Learning(loss=loss, rate=0.05, decay=decay)
    bound = AMPLIFIED.get(rule, 1.0) * ONE_STEP
    follow(tmp_path, how, rule, list(ACTIVATIONS), 1, bound)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_a_batch(loss: str, tmp_path: Path) -> None:
    how = Learning(loss=loss, rate=0.05, batch=3)
    follow(tmp_path, how, "momentum", list(ACTIVATIONS), 2, 2 * ONE_STEP)


@pytest.mark.parametrize("update", ["last", "biases", "w1[1:4]"])
def test_a_part(update: str, tmp_path: Path) -> None:
    how = Learning(rate=0.05, update=update)
    follow(tmp_path, how, "momentum", list(ACTIVATIONS), 2, 2 * ONE_STEP)


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("batch", [1, 3])
def test_half_precision(loss: str, batch: int, tmp_path: Path) -> None:
    rules = sorted(name for name, rule in RULES.items() if "fp16" in rule.precisions)
    rule = rules[batch % len(rules)]
    how = Learning(loss=loss, rate=0.05, batch=batch, precision="fp16")
    follow(tmp_path, how, rule, list(ACTIVATIONS), 1, HALF_STEP, "qemu-rv32-zfh")


def test_an_overflow_in_half_precision_changes_nothing_but_the_scale(tmp_path: Path) -> None:
    path = write_mlp(tmp_path / "net.onnx", *random_layers(SIZES, seed=2))
    program = compile_model(path, "qemu-rv32-zfh", learn="sgd", how=Learning(precision="fp16"))
    simulator, device = program.simulator(), Device(export_graph(program.sources[-1]))
    before = dict(simulator.state)
    x = np.full(SIZES[0], 60000, np.float32)
    for each in (simulator, device):
        each.train_step(x, 1)
    changed = {n for n, array in before.items() if not np.array_equal(array, simulator.state[n])}
    assert changed
    assert not any(name.startswith(("w", "b")) for name in changed)
    for name, array in simulator.state.items():
        np.testing.assert_array_equal(device.state[name], array, err_msg=name)


@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_a_schedule(schedule: str, tmp_path: Path) -> None:
    how = Learning(rate=0.05, schedule=schedule, schedule_steps=5, warmup=3)
    follow(tmp_path, how, "sgd", ["Relu"], 12, MANY_STEPS)


# Every loss, with another activation and rule each.
LONG = [
    (loss, [rule for rule, goal in GOALS if goal == loss][i], activation)
    for i, (loss, activation) in enumerate(zip(sorted(LOSSES), ACTIVATIONS, strict=False))
]


@pytest.mark.parametrize(("loss", "rule", "activation"), LONG)
def test_a_thousand_steps(loss: str, rule: str, activation: str, tmp_path: Path) -> None:
    follow(tmp_path, Learning(loss=loss, rate=0.002), rule, [activation], 1000, MANY_STEPS)


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
