"""The Ford of CICIoV2024: benign traffic and five attacks, each a capture of its own, untimed.

There is no interleaving of attack and benign frames in the data: attack frames are put here among
benign ones at random places, in the order of their file.  All gap inputs say that a frame comes
after its period.
"""

from functools import cache
from typing import Final

import numpy as np

from edgetrain.can.features import extract
from edgetrain.can.frames import Frames, concatenate
from edgetrain.can.table import IdentifierTable, fit_table
from tools.experiments.can.traffic import Exam, Features, Stream, attack_frames, stream_of
from tools.experiments.data import cached, recording

ATTACKS: Final = (
    "DoS",
    "spoofing-GAS",
    "spoofing-RPM",
    "spoofing-SPEED",
    "spoofing-STEERING_WHEEL",
)
TABLE: Final = (0.0, 0.4)
LEARNED: Final = (0.4, 0.5)
CHOSEN_ON: Final = (0.5, 0.7)
TEST: Final = (0.7, 1.0)
"""Shares of the benign capture: for the table, to learn from, to choose the threshold, the test."""

FIRST: Final = 60
"""The rows of each attack's file that are learned from; later ones are the test."""
BENIGN: Final = 6_000
"""Frames that are learned along with them."""
TESTED: Final = 2_000
"""Rows of each attack's file that are tested, evenly spread."""

CODE: Final = ("edgetrain/can", "tools/experiments/can/ford.py", "tools/experiments/can/traffic.py")


def benign(share: tuple[float, float]) -> Frames:
    """A stretch of the benign capture."""
    frames = recording("ford-ciciov2024/decimal_benign.csv.xz")
    start, end = (int(part * len(frames)) for part in share)
    return frames[start:end]


def attack(name: str) -> Frames:
    """A whole file."""
    return recording(f"ford-ciciov2024/decimal_{name}.csv.xz")


@cache
def table() -> IdentifierTable:
    """Refitted on benign traffic."""
    return fit_table(benign(TABLE))


def among(clean: Frames, attacks: Frames, seed: int) -> Frames:
    """`attacks` at random places of `clean`, both in their order."""
    places = np.random.default_rng(seed).choice(len(clean), len(attacks), replace=False)
    order = np.argsort(np.r_[np.arange(len(clean)), np.sort(places) - 0.5], kind="stable")
    return concatenate([clean, attacks])[order]


def stream(seed: int) -> Stream:
    """60 frames of each attack, the attacks in turns, among 6,000 benign ones."""
    turns = np.arange(FIRST * len(ATTACKS)).reshape(len(ATTACKS), FIRST).T.ravel()
    attacks = concatenate([attack(name)[:FIRST] for name in ATTACKS])[turns]
    return stream_of(among(benign(LEARNED)[:BENIGN], attacks, seed), table())


@cache
def exam() -> Exam:
    """What comes later: benign frames, and the attack frames of each file among some of them."""

    def make() -> Exam:
        clean = benign(TEST)
        attacks: dict[str, Features] = {}
        stretch = len(clean) // len(ATTACKS)
        for number, name in enumerate(ATTACKS):
            frames = attack(name)
            rows = np.linspace(FIRST, len(frames) - 1, TESTED).astype(int)
            around = clean[number * stretch : (number + 1) * stretch]
            attacks |= attack_frames(among(around, frames[rows], number), table())
        return Exam(extract(benign(CHOSEN_ON), table()), extract(clean, table()), attacks)

    return cached("ford", make, CODE)
