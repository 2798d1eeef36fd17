"""Updates against PyTorch's optimisers and schedules, in float64."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgetrain.compiler.rules import Learning
from edgetrain.pipeline import compile_model
from tests.training.models import random_layers, write_mlp
from tests.training.test_gradients import forward, torch_loss
from tests.training.test_schedules import share

SIZES = (6, 5, 3)
Parameters = dict[str, torch.Tensor]


def torch_optimiser(learn: str, parameters: Parameters, how: Learning) -> torch.optim.Optimizer:
    tensors = list(parameters.values())
    match learn:
        case "sgd":
            return torch.optim.SGD(tensors, lr=how.rate, weight_decay=how.decay)
        case "momentum":
            assert how.decay == 0, "PyTorch's decay passes through the momentum"
            return torch.optim.SGD(tensors, lr=how.rate, momentum=how.momentum)
        case "adam":
            return torch.optim.AdamW(tensors, lr=how.rate, weight_decay=how.decay)
    raise AssertionError(learn)


CASES: list[tuple[str, dict[str, Any]]] = [
    *((learn, {}) for learn in ("sgd", "momentum", "adam")),
    ("sgd", {"decay": 0.1}),
    ("adam", {"decay": 0.1}),
    ("sgd", {"schedule": "step", "schedule_steps": 4, "schedule_factor": 0.5}),
    ("momentum", {"schedule": "linear", "schedule_steps": 9, "schedule_factor": 0.0}),
    ("adam", {"schedule": "cosine", "schedule_steps": 15, "warmup": 3}),
    ("adam", {"decay": 0.1, "warmup": 5}),
    ("sgd", {"decay": 0.1, "schedule": "cosine", "schedule_steps": 15, "warmup": 3}),
]


@pytest.mark.parametrize(("learn", "options"), CASES, ids=str)
def test_it_follows_torch(learn: str, options: dict[str, Any], tmp_path: Path) -> None:
    weights, biases = random_layers(SIZES, seed=8)
    path = write_mlp(tmp_path / "m.onnx", weights, biases, "Tanh")
    how = Learning(rate=0.05, momentum=0.75, **options)
    simulator = compile_model(path, learn=learn, how=how).simulator()
    start = {n: simulator.state[n].astype(np.float64) for n in ("w0", "b0", "w1", "b1")}
    parameters = {n: torch.tensor(a, requires_grad=True) for n, a in start.items()}
    optimiser = torch_optimiser(learn, parameters, how)

    def rate(step: int) -> float:
        risen = min(step + 1, how.warmup) / how.warmup if how.warmup else 1.0
        after = max(step - how.warmup, 0)
        return risen * share(how.schedule, after, how.schedule_steps, how.schedule_factor)

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
    rng = np.random.default_rng(6)
    for _ in range(20):
        x, label = rng.normal(0, 1, SIZES[0]).astype(np.float32), int(rng.integers(3))
        optimiser.zero_grad()
        loss = torch_loss("cross-entropy", forward(x, parameters, "Tanh"), label)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        scheduler.step()
        simulator.train_step(x, label)
    for name, parameter in parameters.items():
        # Float32 against float64 over twenty steps.
        expected = parameter.detach().numpy()
        np.testing.assert_allclose(simulator.state[name], expected, atol=1e-5, err_msg=name)


def test_adam_corrects_for_its_start(tmp_path: Path) -> None:
    """Its first step is the rate, whatever the size of the gradient."""
    weights, biases = random_layers(SIZES, seed=8)
    path = write_mlp(tmp_path / "m.onnx", weights, biases, "Tanh")
    simulator = compile_model(path, learn="adam", how=Learning(rate=0.125)).simulator()
    before = {name: array.copy() for name, array in simulator.state.items()}
    simulator.train_step(np.ones(SIZES[0], np.float32), 1)
    for name in ("w0", "b0", "w1", "b1"):
        moved = np.abs(simulator.state[name] - before[name])
        np.testing.assert_allclose(moved, 0.125, rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(simulator.state["m_one"], 0.1, rtol=1e-7)
    np.testing.assert_allclose(simulator.state["v_one"], 0.001, rtol=1e-7)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_adam_keeps_averages_in_float32_and_stores_no_gradient(
    precision: str, tmp_path: Path
) -> None:
    weights, biases = random_layers((40, 30, 20), seed=8)
    path = write_mlp(tmp_path / "m.onnx", weights, biases)
    program = compile_model(path, learn="adam", how=Learning(precision=precision))
    kinds = {name: array.dtype for name, array in program.initial.items()}
    assert kinds["w0"] == {"fp32": np.float32, "fp16": np.float16}[precision]
    averages = [name for name in kinds if name[:2] in ("m_", "v_")]
    assert len(averages) == 2 * 4 + 2
    assert all(kinds[name] == np.float32 for name in averages)
    assert program.arena_bytes < 600 * kinds["w0"].itemsize  # the smaller weight matrix
