"""What every vehicle's module gives: frames to learn and frames to be judged by, as features."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetrain.can.features import extract
from edgetrain.can.frames import Frames
from edgetrain.can.table import IdentifierTable

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


def stream_of(frames: Frames, table: IdentifierTable) -> Stream:
    """All of them."""
    kinds = np.array(frames.kinds)[frames.kind]
    return Stream(extract(frames, table), frames.classes(), kinds)


def attack_frames(frames: Frames, table: IdentifierTable) -> dict[str, Features]:
    """Those of each kind of attack, as they appear among all."""
    features = extract(frames, table)
    return {kind: features[frames.of_kind(kind)] for kind in frames.kinds[1:]}
