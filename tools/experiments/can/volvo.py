"""The Volvo's clean trace, cut by time: traffic to train on, to adapt to, and to be tested on."""

from functools import cache
from typing import Final

import numpy as np

from edgetrain.can.features import extract
from edgetrain.can.frames import Frames
from edgetrain.can.inject import KINDS, inject
from edgetrain.can.table import IdentifierTable, fit_table
from edgetrain.train.can_ids import attacked_copies
from tools.experiments.can.traffic import Exam, Features, Stream, attack_frames, stream_of
from tools.experiments.data import cached, data_folder, recording

Seconds = tuple[float, float]

TRAINING: Final = (0, 40)
ADAPTATION: Final = (40, 70)
BOTH: Final = (0, 70)
TEST: Final = (70, 100)

CODE: Final = (
    "edgetrain/can",
    "edgetrain/train",
    "tools/experiments/can/traffic.py",
    "tools/experiments/can/volvo.py",
)


def traffic(seconds: Seconds) -> Frames:
    """Clean, between two times."""
    return recording("volvo-v40-daga/clean.csv.xz").between(*seconds)


@cache
def table() -> IdentifierTable:
    """Fitted on the training part; it is the device's in all that follows."""
    return fit_table(traffic(TRAINING))


@cache
def clean_features(seconds: Seconds) -> Features:
    """Of the traffic between two times, without attacks."""
    return extract(traffic(seconds), table())


def stream(seed: int) -> Stream:
    """Every frame of the adaptation part, under fresh attacks of that seed."""
    return stream_of(inject(traffic(ADAPTATION), seed=2**33 + seed), table())


@cache
def exam(chosen_on: Seconds | None = None) -> Exam:
    """The test part: without attacks, and the attack frames of eight copies under fresh attacks.
    The threshold is chosen on the adaptation part, unless another is given."""

    def make() -> dict[str, Features]:
        copies = [attack_frames(copy, table()) for copy in attacked_copies(traffic(TEST))]
        return {kind: np.concatenate([copy[kind] for copy in copies]) for kind in KINDS}

    attacks = cached("volvo-injected", make, CODE)
    return Exam(clean_features(chosen_on or ADAPTATION), clean_features(TEST), attacks)


@cache
def published() -> dict[str, Features]:
    """The attack frames of DAGA's own files in the test part, file by file."""

    def make() -> dict[str, Features]:
        found: dict[str, Features] = {}
        for path in sorted(data_folder("can/volvo-v40-daga").glob("*.csv.xz")):
            frames = recording(f"volvo-v40-daga/{path.name}").between(*TEST)
            found |= attack_frames(frames, table())
        return found

    return cached("volvo-published", make, CODE)
