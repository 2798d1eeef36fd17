"""What a folded engine would take on an FPGA, before any synthesis: fitted to our own syntheses.

`python -m tools.fpga.calibrate` makes the weights anew and says how far off they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from edgetrain.kernels.rtl.engine import Engine

WEIGHTS: Mapping[str, float] = {
    "constant": 40.0,
    "sum": 1.0,
    "comparison": 0.5,
    "choice": 0.5,
    "logic": 0.5,
    "product": 1.0,
    "table": 1.0,
    "row": 0.5,
    "rom": 0.06,
    "ram": 1.0,
    "entry": 10.0,
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
    luts = WEIGHTS["constant"] + sum(
        weight * parts.get(part, 0) for part, weight in WEIGHTS.items() if part != "constant"
    )
    return Estimate(round(luts), parts.get("block", 0) / 2, parts.get("dsp", 0))
