"""Small networks as rules learn them, in PyTorch and as a compiled program."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgetrain.compiler.rules import Learning
from edgetrain.pipeline import Program
from tests.training.models import random_layers, write_mlp
from tests.training.test_gradients import ACTIVATIONS

Tensors = dict[str, torch.Tensor]
Step = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]
"""(x (batch, features), labels (batch), number of the step) → the loss of which the gradients are
taken; those of each sample are averaged."""


@dataclass(frozen=True)
class Network:
    """Of linear layers and an activation between them, as a file and as float64 numbers."""

    path: Path
    layers: int
    activation: str
    parameters: Tensors

    def linear(self, a: torch.Tensor, layer: int, ending: str = "") -> torch.Tensor:
        """The sums of a layer."""
        return a @ self.parameters[f"w{layer}{ending}"] + self.parameters[f"b{layer}{ending}"]

    def activated(self, z: torch.Tensor, layer: int) -> torch.Tensor:
        """What a layer makes of its sums; the last one leaves them."""
        return ACTIVATIONS[self.activation](z) if layer < self.layers - 1 else z


def network(directory: Path, sizes: Sequence[int], activation: str = "Tanh") -> Network:
    weights, biases = random_layers(sizes, seed=7)
    path = write_mlp(directory / "net.onnx", weights, biases, activation)
    parameters: Tensors = {}
    for layer, (w, b) in enumerate(zip(weights, biases, strict=True)):
        parameters |= {f"w{layer}": double(w), f"b{layer}": double(b)}
    return Network(path, len(weights), activation, parameters)


def double(array: NDArray[Any]) -> torch.Tensor:
    return torch.tensor(array.astype(np.float64), requires_grad=True)


def follow(program: Program, how: Learning, parameters: Tensors, step: Step, classes: int) -> None:
    """Twenty steps of the simulator and of gradient descent on `step`, by those parameters that the
    program has as state: the same losses, and at the end the same parameters."""
    simulator = program.simulator()
    parameters = {name: p for name, p in parameters.items() if name in simulator.state}
    counted = [name for name in simulator.state if name == "step"]
    assert [*parameters, *counted] == list(simulator.state)
    optimiser = torch.optim.SGD(list(parameters.values()), lr=how.rate)
    rng = np.random.default_rng(3)
    for number in range(20):
        x = rng.normal(0, 1, (how.batch, program.input_code.type.size)).astype(np.float32)
        labels = rng.integers(classes, size=how.batch)
        optimiser.zero_grad()
        loss = step(torch.tensor(x, dtype=torch.float64), torch.tensor(labels), number)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        given = (x, labels) if how.batch > 1 else (x[0], labels[0])
        assert abs(simulator.train_step(*given) - loss.item()) < 1e-5 * max(1, loss.item())
    for name, parameter in parameters.items():
        # Float32 against float64 over twenty steps.
        expected = parameter.detach().numpy()
        np.testing.assert_allclose(simulator.state[name], expected, atol=2e-5, err_msg=name)
