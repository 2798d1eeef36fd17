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
    stride is in elements.  What follows `runs` is called only where `lanes` is more than one.
    """

    lanes = 1

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

    def splat(self, value: str, scalar: Scalar) -> str:
        raise NotImplementedError

    def first_lane(self, value: str, scalar: Scalar) -> str:
        """`value` in lane 0, +0 in the others."""
        raise NotImplementedError

    def apply(self, node: Apply, arguments: Sequence[Term]) -> str:
        raise NotImplementedError

    def keep_rest(self, value: str, old: str, scalar: Scalar, count: int) -> str:
        """`value` in the lanes in use, `old` in the others."""
        raise NotImplementedError

    def merge(self, vector: str, name: str, scalar: Scalar) -> list[str]:
        """Statements that declare `name`, the sum of all lanes by pairs of neighbours."""
        raise NotImplementedError
