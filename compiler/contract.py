"""The numerics of a float fold: what the order of an integer fold cannot change."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Contract:
    """`init`, then the terms in ascending order of the folded dims, the last dim fastest.

    `fused`: each product enters the sum by one fused multiply-add (one rounding) instead of being
    rounded first.  Subnormals are kept.
    """

    fused: bool = False
