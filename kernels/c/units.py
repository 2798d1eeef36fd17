"""What carries out the turns of a tiling: plain C here, vectors of an instruction set elsewhere."""

from collections.abc import Sequence
from typing import NamedTuple

from edgetrain.compiler.expr import Apply
from edgetrain.compiler.types import Scalar


class Term(NamedTuple):
    """An argument as C text; `varies`: a vector, otherwise one number for all lanes."""

    text: str
    varies: bool


class Unit:
    """One element at a time; the base of those that know more.

    `lanes` turns are carried out at once.  A count is that of the lanes in use, None for all; a
    stride is in elements.  What follows `runs` is called only of a unit of vectors.
    """

    name = "scalar"
    requires: frozenset[str] = frozenset()
    header = ""
    lanes = 1
    floats: frozenset[int] = frozenset({16, 32})
    """The widths of the floats that it computes with."""
    accumulators = 16
    """Results kept in registers at once: others hold operands."""
    rows = 4
    """Turns of the loop around them that are unrolled."""
    group = 8
    """Neighbours that are loaded before they are computed with."""
    merges = False
    """Whether it can add up its lanes."""
    strided = False
    """Whether a vector may be loaded from places that lie apart."""
    operations: frozenset[str] = frozenset()
    """The primitives that it has for vectors."""

    def fitted(self, size: int) -> "Unit":
        """The unit for a dim of `size` lanes."""
        return self

    def runs(self, places: Sequence[int], scalar: Scalar) -> list[list[int]]:
        """Ascending places, split into what one instruction loads or stores."""
        return [[place] for place in places]

    def load_run(self, names: Sequence[str], pointer: str, streamed: bool) -> list[str]:
        """Statements that declare `names` as neighbours in memory."""
        raise NotImplementedError

    def store_run(self, values: Sequence[str], pointer: str) -> list[str]:
        raise NotImplementedError

    def type(self, scalar: Scalar) -> str:
        raise NotImplementedError

    def load(self, pointer: str, scalar: Scalar, stride: int, count: int | None) -> str:
        raise NotImplementedError

    def store(
        self, pointer: str, value: str, scalar: Scalar, stride: int, count: int | None
    ) -> str:
        raise NotImplementedError

    def splat(self, value: str, scalar: Scalar, count: int | None) -> str:
        raise NotImplementedError

    def first_lane(self, value: str, scalar: Scalar) -> str:
        """`value` in lane 0, +0 in the others."""
        raise NotImplementedError

    def apply(self, node: Apply, arguments: Sequence[Term], count: int | None) -> str:
        raise NotImplementedError

    def accumulate(self, node: Apply, arguments: Sequence[Term], count: int) -> str:
        """`node`, a sum, in the lanes in use; the others keep its accumulator: the last argument
        of a fused multiply-add, the first of an addition."""
        raise NotImplementedError

    def merge(self, vector: str, scalar: Scalar) -> tuple[list[str], str]:
        """(statements, text) of the sum of all lanes, by pairs of neighbours."""
        raise NotImplementedError
