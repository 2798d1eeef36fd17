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
    """The file of the runtime that its code includes."""
    lanes = 1
    floats: frozenset[int] = frozenset({16, 32})
    """The widths of the floats that it computes with."""
    accumulators = 16
    """Results kept in registers at once, or values that a loop does not change: other registers
    hold operands."""
    rows = 4
    """Turns of the loop around them that are unrolled."""
    group = 8
    """Neighbours that are loaded, computed and stored together."""
    joint_rows = 2
    """The same, where a fold goes along the rows."""
    reads_past = False
    """Whether it had better load lanes that are not in use than leave them out."""
    merges_rows = False
    """Whether it adds up the lanes of several vectors at once."""
    merge_cost: int | None = None
    """Of adding up the lanes, in vector operations; None if it cannot."""
    strided_cost: int | None = None
    """Of a load or store whose lanes lie apart, likewise."""
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

    def apply(self, node: Apply, arguments: Sequence[Term], count: int | None) -> str:
        raise NotImplementedError

    def accumulate(self, node: Apply, arguments: Sequence[Term], count: int) -> str:
        """`node`, a sum, in the lanes in use; the others keep its accumulator: the last argument
        of a fused multiply-add, the first of an addition."""
        raise NotImplementedError

    def merge_rows(self, pointer: str, name: str) -> list[str]:
        """Statements that declare the vector `name`: of as many vectors at `pointer` as there are
        lanes, the sum of each, as `merge` adds it up.  What they lie in may be written over."""
        raise NotImplementedError

    def merge(self, vector: str, scalar: Scalar) -> tuple[list[str], str]:
        """(statements, text) of the sum of all lanes, by pairs of neighbours."""
        raise NotImplementedError
