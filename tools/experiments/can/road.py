"""ROAD's two captures of one vehicle on a dynamometer: each is judged with the other's traffic."""

from functools import cache
from typing import Final

import numpy as np

from edgetrain.can.features import extract
from edgetrain.can.frames import Frames
from edgetrain.can.table import IdentifierTable, fit_table
from tools.experiments.can.traffic import Exam, Features, attack_frames
from tools.experiments.data import recording

CAPTURES: Final = ("fuzzing_attack_1", "correlated_signal_attack_1")


def capture(name: str) -> Frames:
    return recording(f"road/{name}.log.xz")


def other(name: str) -> Frames:
    """The normal frames of the other capture."""
    (left,) = (each for each in CAPTURES if each != name)
    frames = capture(left)
    return frames[frames.kind == 0]


@cache
def table(name: str) -> IdentifierTable:
    """Fitted on the other capture."""
    return fit_table(other(name))


def learned(name: str) -> Features:
    """What a device learns before it is judged by the capture `name`."""
    return extract(other(name), table(name))


@cache
def exam(name: str) -> Exam:
    """The threshold is chosen on what comes before the capture's first attack frame."""
    frames = capture(name)
    features = extract(frames, table(name))
    first = int(np.flatnonzero(frames.kind > 0)[0])
    clean = features[first:][frames.kind[first:] == 0]
    return Exam(features[:first], clean, attack_frames(frames, table(name)))
