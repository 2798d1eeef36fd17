"""What the steps cost that detectors and autoencoders take on the device."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from edgetrain.compiler.rules import Learning
from tools.experiments.can import benign, drift, volvo
from tools.experiments.can.adapt import program
from tools.experiments.can.autoencoders import autoencoder
from tools.experiments.can.detectors import detector
from tools.experiments.costs import BOARDS, measure
from tools.experiments.registry import SEEDS, Experiment, Parameters, Result, register

COUNTED: Final = 20


def cases() -> Iterator[Parameters]:
    """Of the detector, and of the autoencoder in each width, by what learns."""
    updates: dict[str, tuple[str, ...]] = {"detector": drift.UPDATES}
    updates |= {f"autoencoder w{bits}a{bits}": benign.UPDATES for bits in benign.BITS}
    for network, choices in updates.items():
        for update in choices:
            for board in BOARDS:
                yield {"network": network, "update": update, "board": board}


def run(parameters: Parameters, seed: int) -> Result:
    """A step at a constant rate, over COUNTED clean frames."""
    name, update = parameters["network"], parameters["update"]
    x = volvo.clean_features(volvo.ADAPTATION)[:COUNTED]
    if name == "detector":
        network = detector(volvo.TRAINING, tuple(drift.PAIR.split("+")), seed)
        how, targets = Learning(update=update), np.zeros(len(x), np.int64)
    else:
        network = autoencoder(int(name[-1]), seed)
        how, targets = Learning(update=update, loss="multilabel"), x.astype(np.float32)
    return measure(program(network, how, parameters["board"]), x, targets)


register(Experiment("can-cost", cases, run, seeds=SEEDS[:1]))
