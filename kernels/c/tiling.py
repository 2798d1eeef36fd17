"""How the results of a nest are blocked: which dims are loops, and what a loop's body holds.

A tiling never changes a bit.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from edgetrain.compiler.nest import Out
from edgetrain.kernels.c.units import Unit

Point = Mapping[str, int]
"""Of each open dim, by how many turns it is past the base of its block."""


@dataclass(frozen=True, slots=True)
class Loop:
    """`step` turns of `dim` are unrolled in the body.  With `merged`, the lanes' sums of so many
    turns are added up together."""

    dim: str
    step: int
    merged: int = 0


@dataclass(frozen=True, slots=True)
class Tiling:
    """How some results of a nest are computed together.

    `loops`: outermost first; a dim without one is unrolled whole.  `order`: all dims, as they run
    within the unrolled body, the last one fastest.  `unit` carries out `unit.lanes` turns of the
    dim `lanes` at once.
    """

    outs: tuple[Out, ...]
    loops: tuple[Loop, ...]
    order: tuple[str, ...]
    unit: Unit
    lanes: str = ""
