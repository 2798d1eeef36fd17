"""A detector of known classes: what a device learns of a stream, and how good it is then."""

from functools import partial
from statistics import mean
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tools.experiments.can.adapt import Outputs, adapt, best
from tools.experiments.can.recall import Scores, alarms
from tools.experiments.can.traffic import Exam, Stream
from tools.experiments.registry import Result

RATES: Final = tuple(2.0**-power for power in (14, 12, 10, 8, 6))


def learn(network: Any, stream: Stream, update: str) -> tuple[float, Outputs]:
    """The rate and the outputs after learning all of `stream` with it.

    It is that of RATES which promises most: when the first two thirds are learned, the recall of
    the last third, mean of all kinds, with one false alarm in a thousand frames there.
    """
    step = partial(adapt, network, update=update, loss="cross-entropy")
    cut = len(stream) * 2 // 3
    early, late = stream[:cut], stream[cut:]

    def promise(rate: float) -> float:
        scores = margin(step(early.x, early.classes, rate=rate)(late.x))
        kinds = {kind: scores[late.kinds == kind] for kind in np.unique(late.kinds)}
        return mean(alarms(kinds.pop("normal"), kinds)["1e-03"].values())

    rate = best(RATES, lambda rate: -promise(rate))
    return rate, step(stream.x, stream.classes, rate=rate)


def margin(outputs: NDArray[Any]) -> Scores:
    """The greatest output of an attack over that of normal traffic, of each frame."""
    values = outputs.astype(np.float64)
    of: Scores = values[:, 1:].max(axis=1) - values[:, 0]
    return of


def judge(outputs: Outputs, exam: Exam) -> Result:
    """For each rate of false alarms the share of frames that raise an alarm: of the clean ones, and
    of each kind of attack."""
    frames = {"clean": exam.clean, **exam.attacks}
    scores = {kind: margin(outputs(x)) for kind, x in frames.items()}
    return alarms(margin(outputs(exam.chosen_on)), scores)
