"""Forward-forward against PyTorch, whose gradients end where a layer begins."""

from pathlib import Path

import numpy as np
import pytest
import torch

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.rules import Learning
from edgetrain.pipeline import compile_model
from tests.rules.generator import FIRST_STREAM, bits
from tests.rules.networks import Network, follow, network

SIZES = (9, 7, 6, 4)


def wrong(labels: torch.Tensor, classes: int, step: int, seed: int) -> torch.Tensor:
    """One of the other labels for each, as the generator has it."""
    turns = [
        1 + bits(seed, FIRST_STREAM, step, i) * (classes - 1) // 2**32 for i in range(len(labels))
    ]
    return (labels + torch.tensor(turns)) % classes


def goodness(
    x: torch.Tensor, labels: torch.Tensor, classes: int, net: Network
) -> list[torch.Tensor]:
    """Of each layer, for each sample."""
    one_hot = torch.nn.functional.one_hot(labels, classes).to(x.dtype)
    a, found = torch.cat([one_hot, x[:, classes:]], dim=1), []
    for layer in range(net.layers):
        a = (a / (a.norm(dim=1, keepdim=True) + 1e-4)).detach()
        a = net.activated(net.linear(a, layer), layer)
        found.append(a.square().sum(dim=1))
    return found


@pytest.mark.parametrize(
    ("activation", "batch", "classes", "update"),
    [
        ("Tanh", 1, 0, "all"),
        ("Relu", 3, 3, "all"),
        ("Sigmoid", 1, 2, "biases"),
        ("LeakyRelu", 2, 0, "last"),
        ("Identity", 1, 8, "layer1"),
    ],
)
def test_it_follows_the_reference(
    activation: str, batch: int, classes: int, update: str, tmp_path: Path
) -> None:
    options = (("classes", classes), ("threshold", 1.5))
    how = Learning(rate=0.05, batch=batch, seed=5, update=update, options=options)
    net, count = network(tmp_path, SIZES, activation), classes or SIZES[-1]

    def step(x: torch.Tensor, labels: torch.Tensor, number: int) -> torch.Tensor:
        others = wrong(labels, count, number, how.seed)
        sides = (goodness(x, given, count, net) for given in (labels, others))
        softplus = torch.nn.functional.softplus
        each = [softplus(1.5 - g) + softplus(h - 1.5) for g, h in zip(*sides, strict=True)]
        return torch.stack(each).sum(dim=0).mean()

    program = compile_model(net.path, learn="forward-forward", how=how)
    follow(program, how, net.parameters, step, count)


@pytest.mark.parametrize(("classes", "skip"), [(0, 0), (3, 1), (5, 2)])
def test_scores_are_the_goodness_with_each_label(classes: int, skip: int, tmp_path: Path) -> None:
    net, count = network(tmp_path, SIZES, "Relu"), classes or SIZES[-1]
    how = Learning(options=(("classes", classes), ("skip", skip)))
    program = compile_model(net.path, learn="forward-forward", how=how)
    x = np.random.default_rng(1).normal(0, 1, (20, SIZES[0])).astype(np.float32)
    doubles = torch.tensor(x, dtype=torch.float64)
    expected = [
        torch.stack(goodness(doubles, torch.full((20,), label), count, net)[skip:]).sum(dim=0)
        for label in range(count)
    ]
    scores = program.simulator().infer(x)
    assert scores.shape == (20, count) == (20, program.output_code.type.size)
    np.testing.assert_allclose(scores, torch.stack(expected, dim=1).detach(), rtol=1e-5)
    x[:, :count] = 99
    np.testing.assert_array_equal(program.simulator().infer(x), scores)


def test_it_learns_to_tell_three_directions_apart(tmp_path: Path) -> None:
    net = network(tmp_path, (9, 16, 16), "Relu")
    how = Learning(rate=0.1, options=(("classes", 3),))
    simulator = compile_model(net.path, learn="forward-forward", how=how).simulator()
    rng = np.random.default_rng(2)
    labels = rng.integers(3, size=600)
    x = np.zeros((600, 9), np.float32)
    x[:, 3:] = rng.normal(0, 0.4, (600, 6)) + np.eye(3).repeat(2, axis=1)[labels]
    for sample, label in zip(x[:500], labels[:500], strict=True):
        simulator.train_step(sample, label)
    found = simulator.infer(x[500:]).argmax(axis=1)
    assert (found == labels[500:]).mean() > 0.9


def test_no_two_steps_or_samples_have_the_same_wrong_labels(tmp_path: Path) -> None:
    """All other classes occur about as often."""
    steps = [wrong(torch.zeros(4, dtype=torch.int64), 4, step, 0) for step in range(300)]
    counts = torch.stack(steps).flatten().bincount(minlength=4)
    assert counts[0] == 0
    assert (counts[1:] - 400).abs().max() < 4.5 * (1200 * 2 / 9) ** 0.5


@pytest.mark.parametrize(
    ("sizes", "options", "what"),
    [
        ((4, 3, 4), {}, "4 classes in 4 inputs"),
        ((4, 3, 1), {}, "1 classes in 4 inputs"),
        ((4, 3, 2), {"classes": 4}, "4 classes in 4 inputs"),
        ((4, 3, 2), {"skip": 2}, "skip leaves none of 2 layers"),
    ],
)
def test_what_has_no_room_for_a_label_is_refused(
    sizes: tuple[int, ...], options: dict[str, int], what: str, tmp_path: Path
) -> None:
    how = Learning(options=tuple(options.items()))
    with pytest.raises(InputError, match=what):
        compile_model(network(tmp_path, sizes).path, learn="forward-forward", how=how)
    with pytest.raises(InputError, match="does not learn by the loss mse; leave out --loss"):
        compile_model(
            network(tmp_path, SIZES).path, learn="forward-forward", how=Learning(loss="mse")
        )
