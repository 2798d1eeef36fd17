"""What every vehicle's module gives: frames to learn and frames to be judged by, as features."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetrain.can.features import extract
from edgetrain.can.frames import Frames
from edgetrain.can.table import IdentifierTable
from tools.experiments.can.recall import Scores, alarms

Features = NDArray[np.uint8]
"""(n, 57), each 0 or 1."""


@dataclass(frozen=True)
class Stream:
    """Labelled frames in the order in which a device meets them; `kinds` are names."""

    x: Features
    classes: NDArray[np.int16]
    kinds: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, which: slice) -> "Stream":
        return Stream(self.x[which], self.classes[which], self.kinds[which])


@dataclass(frozen=True)
class Exam:
    """Normal frames by which a threshold is chosen, others that are judged, and the frames of each
    kind of attack."""

    chosen_on: Features
    clean: Features
    attacks: dict[str, Features]

    def alarms(self, score: Callable[[Features], Scores]) -> dict[str, dict[str, float]]:
        """For each rate of false alarms the share of frames that raise an alarm: of the clean ones,
        and of each kind of attack."""
        frames = {"clean": self.clean, **self.attacks}
        scores = {kind: score(x) for kind, x in frames.items()}
        return alarms(score(self.chosen_on), scores)


def stream_of(frames: Frames, table: IdentifierTable) -> Stream:
    """All of them."""
    kinds = np.array(frames.kinds)[frames.kind]
    return Stream(extract(frames, table), frames.classes(), kinds)


def attack_frames(frames: Frames, table: IdentifierTable) -> dict[str, Features]:
    """Those of each kind of attack, as they appear among all."""
    features = extract(frames, table)
    return {kind: features[frames.of_kind(kind)] for kind in frames.kinds[1:]}
