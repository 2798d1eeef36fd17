"""NoProp against PyTorch, and its schedule against the distributions that it is meant to keep."""

from math import pi, sin, sqrt
from pathlib import Path

import numpy as np
import pytest
import torch

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.rules import Learning
from edgetrain.compiler.rules.noprop import Schedule
from edgetrain.pipeline import compile_model
from tests.rules.generator import FIRST_STREAM, normal
from tests.rules.networks import Network, Tensors, follow, network

SIZES = (9, 8, 6, 3)
"""Six features and z."""
FEATURES, CLASSES = SIZES[0] - SIZES[-1], SIZES[-1]


def signal(t: int, blocks: int) -> float:
    return sin(pi / 2 * (t + 1) / (blocks + 2)) ** 2


def blocks_of(net: Network, count: int) -> Tensors:
    """The parameters of every block, copies at first."""
    return {
        f"{name}_{t}": value.detach().clone().requires_grad_()
        for t in range(1, count + 1)
        for name, value in net.parameters.items()
    }


def code(net: Network, t: int, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """What block `t` takes for the code without noise."""
    a = torch.cat([x, z], dim=1)
    for layer in range(net.layers):
        a = net.activated(net.linear(a, layer, f"_{t}"), layer)
    return torch.softmax(a, dim=1)


@pytest.mark.parametrize(
    ("activation", "batch", "count", "update"),
    [("Tanh", 1, 5, "all"), ("Relu", 3, 2, "all"), ("Sigmoid", 1, 3, "last")],
)
def test_it_follows_the_reference(
    activation: str, batch: int, count: int, update: str, tmp_path: Path
) -> None:
    options = (("blocks", count), ("eta", 0.25))
    how = Learning(rate=0.05, batch=batch, seed=4, update=update, options=options)
    net = network(tmp_path, SIZES, activation)
    program = compile_model(net.path, learn="noprop", how=how)
    start = dict(net.parameters)
    net.parameters.update(blocks_of(net, count))

    def step(x: torch.Tensor, labels: torch.Tensor, number: int) -> torch.Tensor:
        u = torch.nn.functional.one_hot(labels, CLASSES).to(x.dtype)
        total = torch.zeros((), dtype=x.dtype)
        for t in range(1, count + 1):
            drawn = [normal(how.seed, FIRST_STREAM + t, number, CLASSES, i) for i in range(batch)]
            before, after = signal(t - 1, count), signal(t, count)
            z = sqrt(before) * u + sqrt(1 - before) * torch.tensor(np.array(drawn))
            gain = after / (1 - after) - before / (1 - before)
            distance = (code(net, t, x, z) - u).square().sum(dim=1).mean()
            total = total + 0.25 / 2 * gain * distance
        return total

    own = {name: value for name, value in net.parameters.items() if name not in start}
    follow(program, how, own, step, CLASSES)


@pytest.mark.parametrize("noise", [0.0, 1.0, 0.5])
def test_blocks_follow_each_other(noise: float, tmp_path: Path) -> None:
    count = 4
    net = network(tmp_path, SIZES, "Relu")
    how = Learning(seed=6, options=(("blocks", count), ("noise", noise)))
    program = compile_model(net.path, learn="noprop", how=how)
    net.parameters.update(blocks_of(net, count))
    x = np.random.default_rng(1).normal(0, 1, (20, FEATURES)).astype(np.float32)

    def drawn(t: int) -> torch.Tensor:
        numbers = normal(how.seed, FIRST_STREAM + 101 + t, 0, CLASSES)
        return noise * torch.tensor(numbers).expand(20, CLASSES)

    z = drawn(0)
    for t in range(1, count + 1):
        before, after = signal(t - 1, count), signal(t, count)
        kept = before / after
        a = sqrt(after) * (1 - kept) / (1 - before)
        b = sqrt(kept) * (1 - after) / (1 - before)
        c = (1 - after) * (1 - kept) / (1 - before)
        z = a * code(net, t, torch.tensor(x, dtype=torch.float64), z) + b * z + sqrt(c) * drawn(t)
    found = program.simulator().infer(x)
    np.testing.assert_allclose(found, z.detach(), atol=2e-6)


@pytest.mark.parametrize("blocks", [1, 5, 100])
def test_a_step_leads_from_one_distribution_to_the_next(blocks: int) -> None:
    """With û = u, z_t has mean √ᾱ_t·u and variance 1 − ᾱ_t if z_{t−1} has those of t − 1."""
    for t in range(1, blocks + 1):
        schedule = Schedule(t, blocks)
        a, b, deviation = schedule.step
        assert 0 < schedule.before < schedule.after < 1
        assert schedule.gain > 0
        assert a + b * sqrt(schedule.before) == pytest.approx(sqrt(schedule.after))
        variance = b**2 * (1 - schedule.before) + deviation**2
        assert variance == pytest.approx(1 - schedule.after)


def test_it_learns_to_tell_three_directions_apart(tmp_path: Path) -> None:
    net = network(tmp_path, (9, 16, 3), "Relu")
    how = Learning(rate=0.2, options=(("eta", 0.3),))
    simulator = compile_model(net.path, learn="noprop", how=how).simulator()
    rng = np.random.default_rng(2)
    labels = rng.integers(3, size=600)
    x = (rng.normal(0, 0.4, (600, 6)) + np.eye(3).repeat(2, axis=1)[labels]).astype(np.float32)
    for sample, label in zip(x[:500], labels[:500], strict=True):
        simulator.train_step(sample, label)
    assert (simulator.infer(x[500:]).argmax(axis=1) == labels[500:]).mean() > 0.9


def test_a_block_takes_features_and_a_code(tmp_path: Path) -> None:
    program = compile_model(network(tmp_path, SIZES).path, learn="noprop")
    shapes = [program.buffers[name].type.shape for name in program.entry("train_step").inputs]
    assert shapes == [(FEATURES,), ()]
    assert program.input_code.type.shape == (FEATURES,)
    for sizes in ((3, 4, 3), (5, 4, 1)):
        with pytest.raises(InputError, match=f"has {sizes[0]} inputs and {sizes[-1]} outputs"):
            compile_model(network(tmp_path, sizes).path, learn="noprop")
