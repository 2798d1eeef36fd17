"""The numerics of a float fold: what the order of an integer fold cannot change."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Contract:
    """In what order, and by how many roundings, the terms of a fold join the sum.

    One lane: `init`, then the terms in ascending order of the folded dims, the last dim fastest.
    More (a power of two): as many sums, which begin at −0, to which all numbers can be added
    without a trace; a term joins the sum of its index in the last folded dim, modulo `lanes`.  In
    the end neighbours are added, 0 + 1, 2 + 3 …, until one sum is left, and to it `init`.

    `fused`: each product enters its sum by one fused multiply-add (one rounding) instead of being
    rounded first.  Subnormals are kept.
    """

    fused: bool = False
    lanes: int = 1

    def __post_init__(self) -> None:
        if self.lanes < 1 or self.lanes & (self.lanes - 1):
            raise ValueError(f"{self.lanes} lanes are no power of two")
