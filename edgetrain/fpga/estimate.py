"""What a folded engine would take on an FPGA, before any synthesis: fitted to our own syntheses.

`python -m tools.fpga estimates` makes the weights anew; docs/fpga.md says how far off they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from edgetrain.kernels.rtl.engine import Engine

WEIGHTS: Mapping[str, float] = {
    "sum": 0.832,
    "comparison": 0.61,
    "choice": 0.491,
    "product": 0.633,
    "table": 1.579,
    "row": 0.136,
    "rom": 0.067,
    "ram": 1.356,
}
"""Look-up tables of each part of kernels.rtl.parts."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Look-up tables, block RAMs of 36 kbit and multipliers that synthesis may find."""

    luts: int
    brams: float
    dsps: int


def estimate(engine: Engine) -> Estimate:
    """Of the engine without what it is wrapped in."""
    parts = engine.parts
    luts = sum(weight * parts.get(part, 0) for part, weight in WEIGHTS.items())
    return Estimate(round(luts), parts.get("block", 0) / 2, parts.get("dsp", 0))
