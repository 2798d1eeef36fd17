"""Multi-layer perceptrons in PyTorch and Brevitas: build, fit, score.

Imports torch and brevitas at the top; import this module only where a training starts.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgetrain.train.quantisers import (
    Int8WeightPerTensorFloat,
    StatsOp,
    Uint8ActPerTensorFloat,
    qnn,
)

BATCH = 1024
LEARNING_RATE = 4e-3

THREADS = 1
"""The order of float sums, and so the trained weights, depends on the number of threads; layers as
small as these gain nothing from a second."""


class TwoBitWeight(Int8WeightPerTensorFloat):  # type: ignore[misc]
    """{−1, 0, 1} times one scale, which follows the mean magnitude."""

    bit_width = 2
    narrow_range = True
    scaling_stats_op = StatsOp.AVE


class TwoBitActivation(Uint8ActPerTensorFloat):  # type: ignore[misc]
    """{0, 1, 2, 3} times one learned scale."""

    bit_width = 2


def float_mlp(widths: Sequence[int]) -> nn.Sequential:
    """Linear, batch norm, ReLU, …, linear.  No bias but batch norm's, so none after the last."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths[:-1]):
        layers += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1], bias=False))


def w2a2_mlp(widths: Sequence[int], pretrained: nn.Sequential) -> nn.Sequential:
    """The same network with 2-bit weights and activations, last weights 8-bit.

    Takes over `pretrained`'s weights before anything is quantised: the first quantised forward
    would fix the scales from random weights.
    """
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths[:-1]):
        layers += [
            qnn.QuantLinear(inputs, outputs, bias=False, weight_quant=TwoBitWeight),
            nn.BatchNorm1d(outputs),
            qnn.QuantReLU(act_quant=TwoBitActivation),
        ]
    last = qnn.QuantLinear(
        widths[-2], widths[-1], bias=False, weight_quant=Int8WeightPerTensorFloat
    )
    network = nn.Sequential(*layers, last)
    network.load_state_dict(pretrained.state_dict(), strict=False)
    return network


def fit(
    network: nn.Sequential,
    features: NDArray[np.uint8],
    labels: NDArray[np.integer],
    epochs: int,
    seed: int,
    *,
    weight_decay: float = 0.0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Minimises cross-entropy with AdamW under a one-cycle schedule; leaves `network` in eval mode.

    `seed` orders the samples.  `progress` is called with the epochs done and in all.
    """
    x = torch.from_numpy(features.astype(np.float32))
    y = torch.from_numpy(labels.astype(np.int64))
    order = torch.Generator().manual_seed(seed)
    # The last batch of an epoch is left out where it would be short: batch norm wants many.
    steps = max(1, len(x) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, LEARNING_RATE, total_steps=epochs * steps
    )
    network.train()
    for epoch in range(epochs):
        shuffled = torch.randperm(len(x), generator=order)
        for step in range(steps):
            chosen = shuffled[step * BATCH : (step + 1) * BATCH]
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(network(x[chosen]), y[chosen])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        progress(epoch + 1, epochs)
    network.eval()


def outputs(network: nn.Sequential, features: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The network's outputs, (n, classes)."""
    with torch.no_grad():
        parts = [
            network(torch.from_numpy(part.astype(np.float32))).double().numpy()
            for part in np.array_split(features, math.ceil(len(features) / 65536) or 1)
        ]
    return np.concatenate(parts)


def output_scale(network: nn.Sequential) -> float:
    """The step of a W2A2 network's outputs: they are integers times this."""
    activation: Any = network[-2]
    last: Any = network[-1]
    scale: float = activation.act_quant.scale().item() * last.quant_weight().scale.item()
    return scale


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Fixes everything that a training's result depends on; gives back the caller's settings."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(THREADS)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic)
