"""Drift on one vehicle: attacks that training never saw, learned while the vehicle drives."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from edgetrain.can.inject import KINDS
from edgetrain.train.network import outputs
from tools.experiments.can import volvo
from tools.experiments.can.classifiers import judge, learn, rate_for
from tools.experiments.can.detectors import detector
from tools.experiments.registry import SEEDS, Experiment, Parameters, Result, register

PAIR: Final = "replay+burst"
LEFT_OUT: Final = (PAIR, *KINDS)
"""The kinds of attack that training does without."""
UPDATES: Final = ("all", "last", "biases", "last,biases", "last,w1[0:8],w0[0:16]")
"""What learns on the device; the last a quarter of each hidden layer's channels."""
MAIN: Final = 2
"""So many of them are tried with every kind left out, the others with the pair."""


def cases() -> Iterator[Parameters]:
    """Before, after learning on the device, and trained again on everything."""
    for left_out in LEFT_OUT:
        for update in ("none", *(UPDATES if left_out == PAIR else UPDATES[:MAIN])):
            yield {"left_out": left_out, "update": update}
    yield {"left_out": "none", "update": "none"}


def run(parameters: Parameters, seed: int) -> Result:
    """Recall of every kind; the threshold is chosen on the clean traffic of the adaptation part,
    anew for what was learned.

    With nothing left out the network is trained by the recipe on the traffic of both parts.
    """
    left_out, update = parameters["left_out"], parameters["update"]
    if left_out == "none":
        return judge(partial(outputs, detector(volvo.BOTH, (), seed)), volvo.exam())
    network = _without(left_out, seed)
    if update == "none":
        return judge(partial(outputs, network), volvo.exam())
    rate, stream = _rate(update), volvo.stream(seed)
    learned = learn(network, stream.x, stream.classes, update=update, rate=rate)
    return {"rate": rate, **judge(learned, volvo.exam())}


def _without(left_out: str, seed: int) -> Any:
    return detector(volvo.TRAINING, tuple(left_out.split("+")), seed)


def _rate(update: str) -> float:
    """For all kinds and seeds: the best for the pair and the first seed."""
    network, stream = _without(PAIR, SEEDS[0]), volvo.stream(SEEDS[0])
    return rate_for("drift", network, stream, update)


register(Experiment("drift", cases, run))
