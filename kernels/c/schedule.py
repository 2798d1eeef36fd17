"""How a nest of floats is blocked for a core's registers.  No choice here changes a bit."""

from collections.abc import Collection, Mapping, Sequence
from math import prod

from edgetrain.compiler.expr import Apply, Const, Dim, Expr, subexpressions
from edgetrain.compiler.nest import Nest, Out, holds_accumulator
from edgetrain.compiler.types import BOOL, Float, TensorType
from edgetrain.kernels.c.tiling import Loop, Tiling
from edgetrain.kernels.c.units import Unit

_LONG = 8
"""Primitives from which an expression is not worth repeating."""


def tilings(nest: Nest, unit: Unit) -> list[Tiling] | None:
    """The results of `nest` in groups, over buffers in row-major order; None where plain loops
    must do."""
    plain = all(isinstance(index, Dim | Const) for read in nest.reads for index in read.access)
    # A single flag is the same for all lanes, whatever it decides.
    operands = [r.type.scalar for r in nest.reads if r.type != TensorType((), BOOL)]
    floats = all(
        isinstance(scalar, Float) and scalar.bits in unit.floats
        for scalar in (*operands, *(o.type for o in nest.outs))
    )
    if not plain or not floats or not nest.dims:
        return None
    apart = _tilings(nest, nest.joint_outs, unit)
    together = None
    if len(nest.joint_outs) == 2 and _rows_in_common(*nest.joint_outs):
        together = _tilings(nest, (sum(nest.joint_outs, ()),), unit)
    found = [choice for choice in (together, apart) if choice is not None]
    return min(found, key=lambda choice: sum(_cost(nest, t) for t in choice), default=None)


def _tilings(nest: Nest, groups: Sequence[tuple[Out, ...]], unit: Unit) -> list[Tiling] | None:
    found = [_tiling(nest, group, unit) for group in groups]
    kept = [t for t in found if t is not None and all(_keeps(t, out) for out in t.outs)]
    return kept if len(kept) == len(found) else None


def _cost(nest: Nest, tiling: Tiling) -> int:
    """Vector operations: loads and stores, arithmetic, sums of lanes; of scalars likewise."""
    unit, lanes = tiling.unit, tiling.lanes

    def turns(dims: Collection[str]) -> int:
        counts = (-(-nest.sizes[d] // (unit.lanes if d == lanes else 1)) for d in dims)
        return prod(counts)

    def memory(access: Sequence[Expr], dims: Collection[str]) -> int:
        apart = lanes in dims and access[-1] != Dim(lanes, nest.sizes[lanes])
        return turns(dims) * ((unit.strided_cost or 1) if apart else 1)

    total = 0
    for read in nest.reads:
        if read.local in nest.needed(e for out in tiling.outs for e in out.expressions):
            total += memory(read.access, nest.depends_on(read.value))
    for out in tiling.outs:
        total += memory([Dim(d, nest.sizes[d]) for d in out.dims], out.dims)
        every = nest.sizes if out.fold is not None else out.dims
        total += turns(every) * sum(_length(e) for e in out.expressions[:2])
        if lanes and lanes not in out.dims:
            total += turns(out.dims) * (unit.merge_cost or 0)
    return total


def sums(tiling: Tiling, out: Out) -> int:
    """In how many sums the terms of `out` are collected."""
    return tiling.unit.lanes if tiling.lanes not in out.dims else 1


def _keeps(tiling: Tiling, out: Out) -> bool:
    """Whether `tiling` keeps the contract of `out`, if it has one yet."""
    contract = out.fold.contract if out.fold is not None else None
    return contract is None or contract.lanes == sums(tiling, out)


def _rows_in_common(folds: Sequence[Out], maps: Sequence[Out]) -> bool:
    """A fold along the rows that maps replace."""
    (fold, *more) = folds
    dims = maps[0].dims
    return not more and fold.fold is not None and len(dims) == 2 and fold.dims == dims[:1]


def _tiling(nest: Nest, outs: tuple[Out, ...], unit: Unit) -> Tiling | None:
    (first, *_) = outs
    dims = _dims(nest, outs)
    if dims is None or max(_length(e) for out in outs for e in out.expressions) > _LONG:
        return None
    if unit.lanes == 1:
        return _blocked(nest, outs, dims, "", unit)
    folded = nest.folded_dims(first) if first.fold is not None else ()
    fitting = [d for d in _candidates(outs, folded) if _fits(nest, outs, d, unit)]
    choices = [_blocked(nest, outs, dims, lanes, unit) for lanes in fitting]
    return min(choices, key=lambda choice: _cost(nest, choice), default=None)


def _dims(nest: Nest, outs: Sequence[Out]) -> tuple[str, ...] | None:
    """The dims over which `outs` run; None if some of the nest's are of no concern to them."""
    used = {d for out in outs for d in out.dims}
    if any(out.fold is not None for out in outs):
        used |= nest.sizes.keys()
    return tuple(name for name, _ in nest.dims if name in used) if used else None


def _length(expr: Expr) -> int:
    return sum(isinstance(e, Apply) for e in subexpressions(expr))


def _candidates(outs: Sequence[Out], folded: Sequence[str]) -> list[str]:
    """The dims that could be the lanes: those of all results, and the folded one."""
    common = [d for d in outs[0].dims if all(d in out.dims for out in outs)]
    return [*reversed(common), *folded[-1:]]


def _fits(nest: Nest, outs: Sequence[Out], lanes: str, unit: Unit) -> bool:
    """Whether `unit` has everything that varies along `lanes`."""
    for out in outs:
        along = lanes in out.dims
        if along and out.dims[-1] != lanes and unit.strided_cost is None:
            return False
        if not along and not _folds_along(nest, out, lanes, unit):
            return False
        for node in (node for expr in out.expressions for node in subexpressions(expr)):
            if isinstance(node, Dim) or not _has(nest, node, lanes, along, unit):
                return False
    needed = nest.needed(e for out in outs for e in out.expressions)
    for read in (read for read in nest.reads if read.local in needed):
        places = [i for i, index in enumerate(read.access) if lanes in nest.depends_on(index)]
        apart = places not in ([], [len(read.access) - 1])
        if len(places) > 1 or (apart and unit.strided_cost is None):
            return False
    return True


def _folds_along(nest: Nest, out: Out, lanes: str, unit: Unit) -> bool:
    """Whether `out` is a sum over `lanes` that `unit` can collect in its lanes."""
    if out.fold is None or out.fold.op != "add" or unit.merge_cost is None:
        return False
    return all(lanes not in nest.depends_on(e) for e in (out.body, out.fold.init))


def _has(nest: Nest, node: Expr, lanes: str, along: bool, unit: Unit) -> bool:
    """Whether `unit` can compute `node`, if it varies from lane to lane."""
    if not isinstance(node, Apply):
        return True
    varies = lanes in nest.depends_on(node) or (along and holds_accumulator(node))
    known = node.type == BOOL or (isinstance(node.type, Float) and node.type.bits in unit.floats)
    return not varies or (node.op in unit.operations and known)


def _blocked(
    nest: Nest, outs: tuple[Out, ...], dims: Sequence[str], lanes: str, unit: Unit
) -> Tiling:
    """Neighbours along `column` side by side in registers, while the rows stream by; where a fold
    goes along the column, row by row."""
    along = (*outs[-1].dims, *dims)
    column = lanes or (outs[-1].dims or dims)[-1]
    unit = unit.fitted(nest.sizes[column])
    by_row = any(column not in out.dims for out in outs)
    outer = [d for d in dict.fromkeys(along) if d != column]
    steps: dict[str, int] = dict.fromkeys(outer, 1)
    if outer:
        steps[outer[-1]] = unit.joint_rows if by_row else unit.rows
    kept = unit.accumulators
    if lanes and not by_row and len(outs) > 1 and outs[0].fold is not None:
        kept = max(1, kept // 2)  # as many registers hold what the maps need of each row
    wide = unit.lanes * (kept if outer else unit.group)
    position = len(outer) if by_row else len(outs[-1].dims) - 1
    ordered = [*outer[:position], column, *outer[position:]]
    if not by_row and outs[-1].fold is None and outer:
        ordered = [*outer[:-1], column, outer[-1]]
    loops = _loops(nest, {d: steps.get(d, wide) for d in ordered}, column, unit.lanes)
    rows = by_row and outer and all(outer[-1] in o.dims for o in outs if column not in o.dims)
    if lanes and rows and unit.merges_rows and nest.sizes[outer[-1]] > 1:
        merged = Loop(outer[-1], 1, merged=unit.lanes)
        loops = tuple(merged if loop.dim == outer[-1] else loop for loop in loops)
    return Tiling(outs, loops, (*outer, column), unit, lanes)


def _loops(nest: Nest, steps: Mapping[str, int], even: str, lanes: int) -> tuple[Loop, ...]:
    """Loops in the order of `steps`, that over `even` in blocks of about the same size."""
    loops = []
    for dim, most in steps.items():
        size = nest.sizes[dim]
        blocks = -(-size // most)
        if blocks > 1:
            step = -(-size // (blocks * lanes)) * lanes if dim == even else most
            loops.append(Loop(dim, step))
    return tuple(loops)
