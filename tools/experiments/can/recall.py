"""How much of each kind of attack raises an alarm, at a given rate of false alarms."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
"""Of each frame how likely it is an attack, in any unit."""

FALSE_POSITIVES: Final = (1e-4, 1e-3)


def bound(clean: Scores, rate: float) -> float:
    """The least score above which a frame may raise an alarm, if in traffic like `clean` at most
    `rate` of the frames are to: of n frames k alarm such that (k + 1) / (n + 1) ≤ rate.

    Where n is too small for that, none does.
    """
    allowed = max(0, int(rate * (len(clean) + 1)) - 1)
    return float(np.sort(clean)[::-1][allowed])


def alarms(clean: Scores, frames: Mapping[str, Scores]) -> dict[str, dict[str, float]]:
    """The share of each kind of `frames` that raises an alarm, for each of FALSE_POSITIVES, whose
    thresholds are chosen on `clean`."""
    limits = {f"{rate:.0e}": bound(clean, rate) for rate in FALSE_POSITIVES}
    return {
        name: {kind: round(float(np.mean(of > limit)), 6) for kind, of in frames.items()}
        for name, limit in limits.items()
    }
