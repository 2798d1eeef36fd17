"""Where an element lies in its buffer, as expressions over the indices."""

from collections.abc import Sequence

from edgetrain.compiler.expr import Expr, add, lift, mul
from edgetrain.compiler.layout import Layout
from edgetrain.compiler.types import TensorType


def place(access: Sequence[Expr], kind: TensorType, layout: Layout) -> Expr:
    """The place of an element among the storage elements of a buffer."""
    at: Expr = lift(0)
    for axis in layout.axes(len(access)):
        at = _plus(_times(at, kind.shape[axis]), access[axis])
    return at


def row_and_column(access: Sequence[Expr], kind: TensorType, layout: Layout) -> tuple[Expr, Expr]:
    """(first word of the row, field within the row) of an element of a packed buffer."""
    *slow, fastest = layout.axes(len(access))
    row: Expr = lift(0)
    for axis in slow:
        row = _plus(_times(row, kind.shape[axis]), access[axis])
    return _times(row, layout.row_words(kind)), access[fastest]


def _plus(a: Expr, b: Expr) -> Expr:
    return b if a == lift(0) else a if b == lift(0) else add(a, b)


def _times(a: Expr, factor: int) -> Expr:
    return a if factor == 1 or a == lift(0) else mul(a, factor)
