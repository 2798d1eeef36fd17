"""Counter-current learning against PyTorch, whose gradients end where a layer begins."""

from pathlib import Path

import numpy as np
import pytest
import torch

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.rules import Learning
from edgetrain.pipeline import compile_model
from tests.rules.generator import FIRST_STREAM, uniform
from tests.rules.networks import Network, Tensors, double, follow, network
from tests.training.test_gradients import ACTIVATIONS, torch_loss

SIZES = (6, 7, 5, 4)


def reverse_weights(sizes: tuple[int, ...], seed: int) -> Tensors:
    """Those that lead back to each hidden layer, as nn.Linear draws them."""
    return {
        f"reverse_w{layer}": double(
            uniform(seed, FIRST_STREAM + layer - 1, 0, (sizes[layer + 1], sizes[layer]))
            / sizes[layer + 1] ** 0.5
        )
        for layer in range(1, len(sizes) - 1)
    }


def losses(
    x: torch.Tensor, labels: torch.Tensor, net: Network, reverse: Tensors, how: Learning
) -> list[torch.Tensor]:
    """Of each layer, the mean over the batch; the factors are those of the authors' code."""
    signals: list[torch.Tensor] = []
    c = torch.eye(SIZES[-1], dtype=x.dtype)
    for layer in range(net.layers - 1, 0, -1):
        c = ACTIVATIONS[net.activation](c.detach() @ reverse[f"reverse_w{layer}"])
        signals.insert(0, c)
    wanted = torch.nn.functional.one_hot(labels, SIZES[-1]).to(x.dtype)
    found, a = [], x
    for layer in range(net.layers):
        a = net.activated(net.linear(a.detach(), layer), layer)
        if layer < net.layers - 1:
            distance = torch.nn.functional.mse_loss(a @ signals[layer].T, wanted)
            found.append(distance / a.shape[1] * float(dict(how.options)["lambda"]) * 256)
        else:
            each = [torch_loss(how.loss, z, y.item()) for z, y in zip(a, labels, strict=True)]
            found.append(torch.stack(each).mean())
    return found


@pytest.mark.parametrize(
    ("activation", "loss", "batch", "update", "lowest"),
    [
        ("Tanh", "cross-entropy", 1, "all", 0),
        ("Relu", "bce", 3, "all", 0),
        ("LeakyRelu", "hinge", 2, "layer1,last", 1),
        ("Sigmoid", "cross-entropy", 1, "biases", 0),
        ("Identity", "cross-entropy", 2, "all", 0),
        ("Tanh", "cross-entropy", 1, "last", 2),
    ],
)
def test_it_follows_the_reference(
    activation: str, loss: str, batch: int, update: str, lowest: int, tmp_path: Path
) -> None:
    options = (("lambda", 0.05),)
    how = Learning(loss, 0.02, batch=batch, seed=9, update=update, options=options)
    net, reverse = network(tmp_path, SIZES, activation), reverse_weights(SIZES, how.seed)

    def step(x: torch.Tensor, labels: torch.Tensor, _: int) -> torch.Tensor:
        return torch.stack(losses(x, labels, net, reverse, how)[lowest:]).sum()

    program = compile_model(net.path, learn="counter-current", how=how)
    # From the top, of what leads to a layer that learns.
    needed = dict(sorted(reverse.items(), reverse=True)[: net.layers - 1 - lowest])
    follow(program, how, {**net.parameters, **needed}, step, SIZES[-1])
    assert needed.keys() <= program.initial.keys()


def test_the_second_network_is_part_of_training_alone(tmp_path: Path) -> None:
    program = compile_model(network(tmp_path, SIZES).path, learn="counter-current")
    read = {name for call in program.entry("infer").calls for name in call.inputs}
    assert {"reverse_w1", "reverse_w2"} <= program.initial.keys() - read
    assert read >= {"w0", "w1", "w2"}


@pytest.mark.parametrize("batch", [1, 2])
def test_no_gradient_of_weights_is_stored(batch: int, tmp_path: Path) -> None:
    path = network(tmp_path, (40, 50, 40, 4)).path
    program = compile_model(path, learn="counter-current", how=Learning(batch=batch))
    assert program.arena_bytes < 40 * 40 * 4


def test_it_learns_to_tell_three_directions_apart(tmp_path: Path) -> None:
    net = network(tmp_path, (6, 16, 8, 3), "Relu")
    how = Learning(rate=0.02)
    simulator = compile_model(net.path, learn="counter-current", how=how).simulator()
    rng = np.random.default_rng(2)
    labels = rng.integers(3, size=600)
    x = (rng.normal(0, 0.4, (600, 6)) + np.eye(3).repeat(2, axis=1)[labels]).astype(np.float32)
    for sample, label in zip(x[:500], labels[:500], strict=True):
        simulator.train_step(sample, label)
    assert (simulator.infer(x[500:]).argmax(axis=1) == labels[500:]).mean() > 0.9


def test_a_target_that_is_no_class_is_refused(tmp_path: Path) -> None:
    path = network(tmp_path, SIZES).path
    with pytest.raises(InputError, match="by the loss mse; it does by cross-entropy, hinge"):
        compile_model(path, learn="counter-current", how=Learning("mse"))
