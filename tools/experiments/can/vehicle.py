"""Another vehicle: a detector of the Volvo on the Ford, its table refitted there."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from edgetrain.train.network import outputs
from tools.experiments.can import ford, volvo
from tools.experiments.can.classifiers import judge, learn, rate_for
from tools.experiments.can.detectors import detector
from tools.experiments.registry import SEEDS, Experiment, Parameters, Result, register

UPDATES: Final = ("last", "all", "biases", "last,biases")


def cases() -> Iterator[Parameters]:
    """The table alone, and what learns besides."""
    for update in ("none", *UPDATES):
        yield {"update": update}


def run(parameters: Parameters, seed: int) -> Result:
    """Recall of every attack; the threshold is chosen on the Ford's benign traffic, anew for what
    was learned, the rate with the first seed.  The detector knows all kinds, from 70 s of the
    Volvo."""
    network, update = detector(volvo.BOTH, (), seed), parameters["update"]
    if update == "none":
        return judge(partial(outputs, network), ford.exam())
    first = detector(volvo.BOTH, (), SEEDS[0])
    rate = rate_for("vehicle", first, ford.stream(SEEDS[0]), update)
    stream = ford.stream(seed)
    learned = learn(network, stream.x, stream.classes, update=update, rate=rate)
    return {"rate": rate, **judge(learned, ford.exam())}


register(Experiment("vehicle", cases, run))
