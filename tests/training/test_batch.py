"""Batches: PyTorch's mean, the same bits as accumulation sample by sample, and nothing stored that
need not be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgetrain.board import load_board
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.program import pack
from edgetrain.compiler.program_file import program_text
from edgetrain.compiler.rounding import fused_multiply_add
from edgetrain.compiler.rules import RULES, Learning
from edgetrain.link import open_link
from edgetrain.pipeline import compile_model, write_project
from edgetrain.simulator import Simulator
from edgetrain.toolchain import IMAGE_FILE
from tests.support import assert_bit_exact
from tests.training.models import random_layers, write_mlp
from tests.training.test_gradients import forward, torch_loss
from tests.training.test_optimisers import torch_optimiser

SIZES = (6, 5, 4)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_mlp(tmp_path / "m.onnx", *random_layers(SIZES, seed=8), "Tanh")


def draw(rng: np.random.Generator, loss: str, batch: int) -> tuple[Any, Any]:
    x = rng.normal(0, 1, (batch, SIZES[0])).astype(np.float32)
    if loss == "mse":
        return x, rng.normal(0, 1, (batch, SIZES[-1])).astype(np.float32)
    return x, rng.integers(0, SIZES[-1], batch)


@pytest.mark.parametrize(
    ("learn", "loss", "batch"),
    [
        ("sgd", "cross-entropy", 5),
        ("sgd", "mse", 2),
        ("momentum", "hinge", 3),
        ("momentum", "bce", 16),
        ("adam", "cross-entropy", 4),
    ],
)
def test_the_mean_over_a_batch_follows_torch(
    learn: str, loss: str, batch: int, model: Path
) -> None:
    how = Learning(loss=loss, rate=0.05, batch=batch)
    simulator = compile_model(model, learn=learn, how=how).simulator()
    start = {n: simulator.state[n].astype(np.float64) for n in ("w0", "b0", "w1", "b1")}
    parameters = {n: torch.tensor(a, requires_grad=True) for n, a in start.items()}
    optimiser = torch_optimiser(learn, parameters, how)
    rng = np.random.default_rng(6)
    for _ in range(10):
        x, target = draw(rng, loss, batch)
        optimiser.zero_grad()
        losses = [
            torch_loss(loss, forward(x[i], parameters, "Tanh"), target[i]) for i in range(batch)
        ]
        expected = torch.stack(losses).mean()
        expected.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        assert simulator.train_step(x, target) == pytest.approx(expected.item(), abs=1e-5)
    for name, parameter in parameters.items():
        moved = parameter.detach().numpy()
        np.testing.assert_allclose(simulator.state[name], moved, atol=1e-5, err_msg=name)


def gradients(simulator: Simulator, x: Any, target: Any) -> dict[str, Any]:
    """Those of one step: with no momentum kept, the momentum is the gradient."""
    start = dict(simulator.state)
    simulator.train_step(x, target)
    found = {n[2:]: a for n, a in simulator.state.items() if n.startswith("m_")}
    simulator.load_state(start)
    return found


def test_a_batch_equals_accumulation_in_place_bit_for_bit(model: Path) -> None:
    batch = 4  # a power of two: the mean's factor is exact, for a sample or for a sum
    alone, together = (
        compile_model(
            model, "mps2-an386", learn="momentum", how=Learning(momentum=0.0, batch=size)
        ).simulator()
        for size in (1, batch)
    )
    rng = np.random.default_rng(2)
    for _ in range(20):
        x, labels = draw(rng, "cross-entropy", batch)
        summed = gradients(together, x, labels)
        expected = {name: np.zeros_like(array) for name, array in summed.items()}
        for i in range(batch):
            deltas = gradients(alone, x[i], labels[i])
            scaled = {name: deltas[name] / np.float32(batch) for name in ("b0", "b1")}
            for name, delta in scaled.items():
                expected[name] += delta
            column, row = x[i][:, None], scaled["b0"][None, :]
            expected["w0"] = fused_multiply_add(column, row, expected["w0"])
        for name in ("b0", "b1", "w0"):
            assert np.array_equal(summed[name], expected[name]), name


@pytest.mark.parametrize("learn", sorted(RULES))
def test_where_gradients_of_a_batch_are_stored(learn: str, tmp_path: Path) -> None:
    sizes = (40, 30, 20)
    path = write_mlp(tmp_path / "m.onnx", *random_layers(sizes, seed=1))
    program = compile_model(path, learn=learn, how=Learning(batch=2))
    weights = {w.shape: w.nbytes for name, w in program.initial.items() if name.startswith("w")}
    stored = [b.type.shape for b in program.of_kind("arena") if b.type.shape in weights]
    # Two averages read each gradient, or two sums make it; one gradient lives at a time.
    if learn in ("adam", "forward-forward"):
        assert set(stored) == weights.keys()
        assert max(weights.values()) < program.arena_bytes < sum(weights.values())
    else:
        assert not stored


def test_a_batch_of_one_is_no_batch(model: Path) -> None:
    how = Learning(batch=1)
    left, right = (compile_model(model, learn="sgd", how=h) for h in (how, Learning()))
    assert program_text(left) == program_text(right)
    assert left.simulator().train_step(np.ones(SIZES[0], np.float32), 0) > 0


@pytest.mark.parametrize(
    ("learn", "loss"),
    [("adam", "cross-entropy"), ("sgd", "mse"), ("momentum", "hinge"), ("sgd", "bce")],
)
def test_a_batch_is_bit_exact_on_the_host(learn: str, loss: str, tmp_path: Path) -> None:
    path = write_mlp(tmp_path / "m.onnx", *random_layers((7, 5, 3), seed=3), "Relu")
    how = Learning(loss=loss, batch=3, decay=0.01)
    assert_bit_exact(
        compile_model(path, "host", learn=learn, how=how), tmp_path / "out", samples=60
    )


def test_one_bad_sample_of_a_batch_changes_nothing(model: Path, tmp_path: Path) -> None:
    program = compile_model(model, "host", learn="momentum", how=Learning(batch=3))
    write_project(program, tmp_path / "out")
    simulator = program.simulator()
    before = {name: array.copy() for name, array in simulator.state.items()}
    entry = program.entry("train_step")
    buffers = [program.buffers[name] for name in entry.inputs]
    good, labels = np.ones((3, SIZES[0]), np.float32), np.array([0, 1, 2])
    poisoned = good.copy()
    poisoned[2, -1] = np.nan
    cases = [(poisoned, labels), (good, np.array([0, 1, SIZES[-1]]))]
    with open_link(load_board("host"), tmp_path / "out" / IMAGE_FILE) as link:
        for x, target in cases:
            with pytest.raises(InputError):
                simulator.train_step(x, target)
            data = pack(buffers[0], x) + pack(buffers[1], target.astype(np.uint8))
            assert link.run(program.entries.index(entry), data).status != 0
        for number, buffer in enumerate(program.of_kind("state")):
            assert link.read_state(number) == before[buffer.name].tobytes()
    for wrong in ((good[:2], labels[:2]), (good, labels[:2]), (good[0], 0), (good[:, 1:], labels)):
        with pytest.raises(InputError):
            simulator.train_step(*wrong)
    assert all(np.array_equal(before[name], simulator.state[name]) for name in before)


@pytest.mark.parametrize("batch", [0, -1, 5000])
def test_a_batch_that_cannot_be_is_refused(batch: int) -> None:
    with pytest.raises(InputError, match="batch"):
        Learning(batch=batch)
