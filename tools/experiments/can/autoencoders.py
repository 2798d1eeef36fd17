"""Autoencoders of normal traffic: how badly a frame's 57 features come out tells how odd it is."""

from functools import cache
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgetrain.can.features import extract
from edgetrain.can.table import cross_fit
from edgetrain.train.network import BATCH, LEARNING_RATE, TwoBitWeight, reproducible
from edgetrain.train.quantisers import Int8WeightPerTensorFloat, Uint8ActPerTensorFloat, qnn
from tools.experiments.can import volvo
from tools.experiments.can.recall import Scores
from tools.experiments.can.traffic import Features
from tools.experiments.data import cached

FEATURES: Final = 57
HIDDEN: Final = 16
EPOCHS: Final = 8
FOLDS: Final = (2, 3, 4, 6)
"""Each is one pass over the training traffic in so many stretches, with tables fitted on the others
(as `edgetrain.train.can_ids`)."""

CODE: Final = (
    "edgetrain/can",
    "edgetrain/train",
    "tools/experiments/can/autoencoders.py",
    "tools/experiments/can/volvo.py",
)


@cache
def autoencoder(bits: int, seed: int) -> Any:
    """57-16-57 (a torch.nn.Sequential) with weights and activations of so many bits, but 8 for the
    last weights, trained on the Volvo's clean traffic; outputs are log odds of the inputs."""
    network = untrained(bits)

    def make() -> dict[str, Any]:
        with reproducible(seed):
            fitted = untrained(bits)
            _fit(fitted, normal_features(), seed)
        state: dict[str, Any] = fitted.state_dict()
        return state

    network.load_state_dict(cached(f"autoencoder-{bits}-{seed}", make, CODE))
    return network.eval()


def untrained(bits: int) -> nn.Sequential:
    """With random weights."""
    weights = TwoBitWeight if bits == 2 else Int8WeightPerTensorFloat
    return nn.Sequential(
        qnn.QuantLinear(FEATURES, HIDDEN, False, weight_quant=weights, weight_bit_width=bits),
        nn.BatchNorm1d(HIDDEN),
        qnn.QuantReLU(act_quant=Uint8ActPerTensorFloat, bit_width=bits),
        qnn.QuantLinear(HIDDEN, FEATURES, True, weight_quant=Int8WeightPerTensorFloat),
    )


def normal_features() -> Features:
    """Of the training part, by tables that have not seen it."""
    clean = volvo.traffic(volvo.TRAINING)
    stretches = [part for folds in FOLDS for part in cross_fit(clean, folds)]
    return np.concatenate([extract(clean[stretch], table) for stretch, table in stretches])


def _fit(network: nn.Sequential, features: Features, seed: int) -> None:
    """AdamW under a one-cycle schedule."""
    x = torch.from_numpy(features.astype(np.float32))
    order = torch.Generator().manual_seed(seed)
    steps = EPOCHS * (len(x) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    network.train()
    for _ in range(EPOCHS):
        shuffled = torch.randperm(len(x), generator=order)
        for start in range(0, len(x) - BATCH + 1, BATCH):
            optimiser.zero_grad()
            batch = x[shuffled[start : start + BATCH]]
            loss = nn.functional.binary_cross_entropy_with_logits(network(batch), batch)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()


def surprise(outputs: NDArray[Any], features: Features) -> Scores:
    """Of each frame the loss that is learned: binary cross-entropy, summed over its features."""
    logits = outputs.astype(np.float64)
    of: Scores = (np.logaddexp(0, logits) - logits * features).sum(axis=1)
    return of
