"""A detector of known classes: what a device learns of a stream, and how good it is then."""

from functools import partial
from statistics import mean
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tools.experiments.can.adapt import Outputs, adapt, best_rate
from tools.experiments.can.recall import Scores, alarms
from tools.experiments.can.traffic import Exam, Stream
from tools.experiments.registry import Result

RATES: Final = tuple(2.0**-power for power in (14, 12, 10, 8, 6))

learn = partial(adapt, loss="cross-entropy")


def rate_for(name: str, network: Any, stream: Stream, update: str) -> float:
    """The rate that promises most for such a stream.

    When the first two thirds of it are learned, that is the recall of the last third, mean of all
    kinds, with one false alarm in a thousand frames there.
    """
    cut = len(stream) * 2 // 3
    early, late = stream[:cut], stream[cut:]

    def loss(rate: float) -> float:
        outputs = learn(network, early.x, early.classes, update=update, rate=rate)
        scores = margin(outputs(late.x))
        kinds = {kind: scores[late.kinds == kind] for kind in np.unique(late.kinds)}
        return -mean(alarms(kinds.pop("normal"), kinds)["1e-03"].values())

    return best_rate(f"{name}-{update}", loss, RATES)


def margin(outputs: NDArray[Any]) -> Scores:
    """The greatest output of an attack over that of normal traffic, of each frame."""
    values = outputs.astype(np.float64)
    of: Scores = values[:, 1:].max(axis=1) - values[:, 0]
    return of


def judge(outputs: Outputs, exam: Exam) -> Result:
    """Which share of the frames raises an alarm."""
    return {**exam.alarms(lambda x: margin(outputs(x)))}
