"""Gradients and losses against PyTorch's autograd and central differences, in float64."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgetrain.compiler.ops.loss import LOSSES
from edgetrain.compiler.rules import Learning
from edgetrain.pipeline import compile_model
from tests.training.models import random_layers, write_mlp

ACTIVATIONS: dict[str, Any] = {
    "Relu": torch.relu,
    "LeakyRelu": lambda z: torch.nn.functional.leaky_relu(z, 0.125),
    "Sigmoid": torch.sigmoid,
    "Tanh": torch.tanh,
    "Identity": lambda z: z,
}


def torch_loss(name: str, z: torch.Tensor, target: Any) -> torch.Tensor:
    """The loss as PyTorch has it."""
    functional = torch.nn.functional
    match name:
        case "mse":
            return functional.mse_loss(z, torch.tensor(target, dtype=z.dtype))
        case "cross-entropy":
            return functional.cross_entropy(z[None], torch.tensor([target]))
        case "hinge":
            # PyTorch divides by the number of classes.
            label = torch.tensor([target])
            return functional.multi_margin_loss(z[None], label, margin=1.0) * len(z)
        case "bce":
            wanted = torch.nn.functional.one_hot(torch.tensor(target), len(z)).to(z.dtype)
            return functional.binary_cross_entropy_with_logits(z, wanted, reduction="sum")
        case "multilabel":
            wanted = torch.tensor(target, dtype=z.dtype)
            return functional.binary_cross_entropy_with_logits(z, wanted, reduction="sum")
    raise AssertionError(name)


def forward(x: Any, parameters: dict[str, torch.Tensor], activation: str) -> torch.Tensor:
    layers = len(parameters) // 2
    a = torch.tensor(x, dtype=torch.float64)
    for layer in range(layers):
        a = a @ parameters[f"w{layer}"] + parameters[f"b{layer}"]
        if layer < layers - 1:
            a = ACTIVATIONS[activation](a)
    return a


CASES = [(loss, activation, 0.0) for loss in sorted(LOSSES) for activation in ACTIVATIONS]
CASES += [("cross-entropy", "Relu", 0.25)]


@pytest.mark.parametrize(("loss", "activation", "decay"), CASES)
def test_one_step_follows_autograd(
    loss: str, activation: str, decay: float, tmp_path: Path
) -> None:
    sizes = (9, 7, 6, 4)
    weights, biases = random_layers(sizes, seed=len(loss) + len(activation))
    path = write_mlp(tmp_path / "m.onnx", weights, biases, activation)
    # A power of two, so that the step adds no rounding of its own to the gradient.
    rate = 2.0**-3
    how = Learning(loss=loss, rate=rate, decay=decay)
    simulator = compile_model(path, learn="sgd", how=how).simulator()
    rng = np.random.default_rng(5)
    for _ in range(3):
        x = rng.normal(0, 1, sizes[0]).astype(np.float32)
        target: Any = int(rng.integers(4))
        if not LOSSES[loss].classifies:
            target = rng.normal(0, 1, 4).astype(np.float32)
        before = {name: array.astype(np.float64) for name, array in simulator.state.items()}
        parameters = {n: torch.tensor(a, requires_grad=True) for n, a in before.items()}
        expected = torch_loss(loss, forward(x, parameters, activation), target)
        expected.backward()  # type: ignore[no-untyped-call]
        value = simulator.train_step(x, target)
        # Float32 against float64: some dozens of roundings of 2^-24, of numbers of order 1.
        assert value == pytest.approx(expected.item(), rel=2e-6, abs=2e-6)
        for name, parameter in parameters.items():
            assert parameter.grad is not None
            step = rate * (parameter.grad.numpy() + decay * before[name])
            moved = before[name] - simulator.state[name].astype(np.float64)
            np.testing.assert_allclose(moved, step, atol=2e-6, err_msg=name)
            index = tuple(int(rng.integers(n)) for n in before[name].shape)
            assert slope(loss, activation, x, target, before, name, index) == pytest.approx(
                parameter.grad.numpy()[index], abs=1e-6
            )


def slope(
    loss: str,
    activation: str,
    x: Any,
    target: Any,
    parameters: dict[str, Any],
    name: str,
    index: tuple[int, ...],
) -> float:
    """The central difference of the loss by one parameter."""
    width = 1e-6
    values = []
    for sign in (1, -1):
        moved = {n: torch.tensor(a) for n, a in parameters.items()}
        moved[name][index] += sign * width
        values.append(torch_loss(loss, forward(x, moved, activation), target).item())
    return (values[0] - values[1]) / (2 * width)
