"""How a nest of floats is blocked for a core's registers.  No choice here changes a bit."""

from collections.abc import Mapping

from edgetrain.compiler.expr import Apply, Const, Dim, subexpressions
from edgetrain.compiler.nest import Nest, Out
from edgetrain.compiler.types import Float
from edgetrain.kernels.c.operand import Operand
from edgetrain.kernels.c.tiles import Loop, Tiling
from edgetrain.kernels.c.units import Unit

_ACCUMULATORS = 16
"""Results kept in registers, of 32: the others hold operands."""
_ROWS = 4
"""Turns of the loop around them that are unrolled."""
_LONG = 8
"""Primitives from which an expression is not worth repeating."""


def tilings(
    nest: Nest, operands: Mapping[str, Operand], results: Mapping[str, Operand], unit: Unit
) -> list[Tiling] | None:
    """The results of `nest` in groups, or None where plain loops must do."""
    buffers = (*operands.values(), *results.values())
    plain = all(isinstance(index, Dim | Const) for read in nest.reads for index in read.access)
    floats = all(isinstance(read.type.scalar, Float) for read in nest.reads)
    if not plain or not floats or any(b.layout.bits is not None for b in buffers):
        return None
    groups = [list(group) for group in nest.joint_outs]
    if len(groups) == 2 and _belong_together(nest, *groups):
        groups = [groups[0] + groups[1]]
    found = [_tiling(nest, tuple(group), unit) for group in groups]
    return None if None in found else [t for t in found if t is not None]


def _belong_together(nest: Nest, folds: list[Out], maps: list[Out]) -> bool:
    """A fold along the rows that the maps replace."""
    (fold, *more) = folds
    dims = maps[0].dims
    return not more and fold.fold is not None and len(dims) == 2 and fold.dims == dims[:1]


def _tiling(nest: Nest, outs: tuple[Out, ...], unit: Unit) -> Tiling | None:
    if max(len(list(_applied(e))) for out in outs for e in out.expressions) > _LONG:
        return None
    (first, *more) = outs
    if first.fold is not None and more:
        row, column = more[0].dims
        return _blocked(nest, outs, {row: 1, column: _ACCUMULATORS}, (row, column), unit)
    if len(first.dims) > 2 or len(nest.dims) > 2 or not nest.dims:
        return None
    if first.fold is None:
        row, column = ("", *first.dims)[-2:]
        if not row:
            return _blocked(nest, outs, {column: 8}, (column,), unit)
        return _blocked(nest, outs, {column: _ACCUMULATORS, row: _ROWS}, (row, column), unit)
    folded = nest.folded_dims(first)
    if len(folded) != 1:
        return None
    if not first.dims:
        return _blocked(nest, outs, {folded[0]: _ROWS}, folded, unit)
    (column,) = first.dims
    steps = {column: _ACCUMULATORS, folded[0]: _ROWS}
    return _blocked(nest, outs, steps, (folded[0], column), unit)


def _applied(expr: object) -> list[Apply]:
    return [e for e in subexpressions(expr) if isinstance(e, Apply)]  # type: ignore[arg-type]


def _blocked(
    nest: Nest, outs: tuple[Out, ...], steps: Mapping[str, int], order: tuple[str, ...], unit: Unit
) -> Tiling:
    """Loops in the order of `steps`, each by a step that divides its dim most evenly."""
    loops = []
    for dim, most in steps.items():
        size = nest.sizes[dim]
        blocks = -(-size // most)
        if blocks > 1:
            loops.append(Loop(dim, -(-size // blocks) if dim == order[-1] else most))
    return Tiling(outs, tuple(loops), order, unit=unit)
