"""The one form of meaning: a loop nest over named dims with reads, and outputs that map or fold.

A nest says *what* is computed for every index, never in which order; the order of a float fold is
its `Contract`, blocking is the schedule, packing is the layout.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from edgetrain.compiler.contract import Contract
from edgetrain.compiler.expr import Apply, Dim, Expr, Local, apply, lift, subexpressions
from edgetrain.compiler.types import Float, Int, Scalar, TensorType

ACCUMULATOR = "acc"
FOLDS = ("add", "max")


def is_accumulator(expr: Expr) -> bool:
    """Whether `expr` is the partial result of a fold."""
    return isinstance(expr, Local) and expr.name == ACCUMULATOR


def holds_accumulator(expr: Expr) -> bool:
    return any(is_accumulator(node) for node in subexpressions(expr))


@dataclass(frozen=True, slots=True)
class Read:
    """`local` is the element at `access` of an operand of type `type`.

    An index is an expression over dims and over the locals of earlier reads (a gather); its range
    must lie within the axis.
    """

    local: str
    access: tuple[Expr, ...]
    type: TensorType

    @property
    def value(self) -> Local:
        return Local(self.local, self.type.scalar)


@dataclass(frozen=True, slots=True)
class Fold:
    """`init op term op term …` over the dims that the output lacks; `op` is `add` or `max`.

    `type` holds every partial result.  `contract` is None in a graph and for integers, whose folds
    are exact in any order.
    """

    op: str
    term: Expr
    init: Expr
    type: Scalar
    contract: Contract | None = None

    @property
    def result(self) -> Local:
        """The finished fold, as the body of its output names it."""
        return Local(ACCUMULATOR, self.type)

    @property
    def factors(self) -> tuple[Expr, ...]:
        """The factors of the products that are summed; none where the fold sums no products."""
        term = self.term
        if self.op == "add" and isinstance(term, Apply) and term.op == "mul":
            return term.args
        return ()

    @property
    def fused(self) -> bool:
        """Whether its contract joins each product to the sum in one rounding."""
        return self.contract is not None and self.contract.fused

    @property
    def following(self) -> Expr:
        """The partial result after `result`: with one more term."""
        if self.fused:
            return apply("fma", *self.factors, self.result)
        return apply(self.op, self.result, self.term)


def fold(op: str, term: Expr, init: Expr, turns: int, within: Int | None = None) -> Fold:
    """A fold of `turns` terms; its type follows from the ranges, or its maker vouches `within`."""
    kind: Scalar = init.type
    if isinstance(term.type, Int) and isinstance(init.type, Int):
        if within is not None:
            kind = within
        elif op == "max":
            kind = term.type | init.type
        else:
            lo, hi = min(0, turns * term.type.lo), max(0, turns * term.type.hi)
            kind = Int(init.type.lo + lo, init.type.hi + hi)
    return Fold(op, term, init, kind)


@dataclass(frozen=True, slots=True)
class Out:
    """One result over `dims`; `body` is the element, or the epilogue of `fold`."""

    name: str
    dims: tuple[str, ...]
    type: Scalar
    body: Expr
    fold: Fold | None = None

    @property
    def expressions(self) -> tuple[Expr, ...]:
        """All that is computed for it."""
        return (self.body,) if self.fold is None else (self.body, self.fold.term, self.fold.init)


@dataclass(frozen=True)
class Nest:
    """Raises TypeError unless every index is in bounds and every type holds its expression."""

    dims: tuple[tuple[str, int], ...]
    reads: tuple[Read, ...]
    outs: tuple[Out, ...]

    def __post_init__(self) -> None:
        sizes = self.sizes
        if len(sizes) != len(self.dims):
            raise TypeError("two dims share a name")
        known: dict[str, Scalar] = {}
        for read in self.reads:
            _check_read(read, known, sizes)
            known[read.local] = read.type.scalar
        for out in self.outs:
            self._check_out(out, known)

    @property
    def sizes(self) -> dict[str, int]:
        return dict(self.dims)

    def out_type(self, out: Out) -> TensorType:
        return TensorType(tuple(self.sizes[d] for d in out.dims), out.type)

    def folded_dims(self, out: Out) -> tuple[str, ...]:
        """The dims over which `out` folds, in nest order."""
        return tuple(d for d, _ in self.dims if d not in out.dims)

    @property
    def joint_outs(self) -> tuple[tuple[Out, ...], ...]:
        """The results in groups: neighbours that are maps over the same dims, which may be computed
        together, element by element."""
        groups: list[tuple[Out, ...]] = []
        for out in self.outs:
            last = groups[-1][-1] if groups else None
            if last is not None and last.fold is out.fold is None and last.dims == out.dims:
                groups[-1] = (*groups[-1], out)
            else:
                groups.append((out,))
        return tuple(groups)

    def needed(self, expressions: Iterable[Expr]) -> tuple[str, ...]:
        """The reads on which `expressions` depend, also through indices, in nest order."""
        reads = {read.local: read for read in self.reads}
        found: set[str] = set()
        pending = list(expressions)
        while pending:
            for node in subexpressions(pending.pop()):
                if isinstance(node, Local) and node.name in reads and node.name not in found:
                    found.add(node.name)
                    pending.extend(reads[node.name].access)
        return tuple(name for name in reads if name in found)

    def depends_on(self, expr: Expr) -> frozenset[str]:
        """The dims on which `expr` depends, also through what it reads."""
        reads = {read.local: read for read in self.reads}
        found: set[str] = set()
        for node in subexpressions(expr):
            if isinstance(node, Dim):
                found.add(node.name)
            elif isinstance(node, Local) and node.name in reads:
                for index in reads[node.name].access:
                    found |= self.depends_on(index)
        return frozenset(found)

    def _check_out(self, out: Out, known: Mapping[str, Scalar]) -> None:
        sizes = self.sizes
        if len(set(out.dims)) != len(out.dims) or not set(out.dims) <= sizes.keys():
            raise TypeError(f"{out.name}: dims {out.dims} are not dims of the nest")
        if out.fold is not None:
            _check_expr(out.fold.term, known, sizes)
            _check_expr(out.fold.init, known, sizes)
            _check_fold(out)
            known = {**known, ACCUMULATOR: out.fold.type}
            outer: tuple[Expr, ...] = (out.fold.init, out.body)
        else:
            outer = (out.body,)
        _check_expr(out.body, known, sizes)
        for expr in outer:
            if not self.depends_on(expr) <= set(out.dims):
                raise TypeError(f"{out.name}: depends on more than its dims {out.dims}")
        if not out.fold and self.folded_dims(out):
            raise TypeError(f"{out.name}: a map has every dim of its nest")
        if not _holds(out.type, out.body.type):
            raise TypeError(f"{out.name}: {out.type} does not hold {out.body.type}")


def axes(shape: Sequence[int]) -> tuple[Dim, ...]:
    """The dims i0, i1, … over `shape`."""
    return tuple(Dim(f"i{axis}", length) for axis, length in enumerate(shape))


def elementwise(
    dims: tuple[Dim, ...], body: Callable[..., Expr], /, **operands: TensorType | None
) -> Nest:
    """y = `body` of an element of every operand, at each index of `dims`.

    An operand has the shape of the last dims, a scalar of none of them; an absent one (None) is no
    argument either.
    """
    reads = _elements(dims, operands)
    value = body(*(read.value for read in reads))
    names = tuple(dim.name for dim in dims)
    return Nest(_sizes(dims), reads, (Out("y", names, value.type, value),))


def reduction(
    dims: tuple[Dim, ...],
    op: str,
    term: Callable[..., Expr],
    init: float,
    /,
    **operands: TensorType,
) -> Nest:
    """y = `init` op `term` op …, the term of an element of every operand, over all of `dims`;
    operands as for `elementwise`."""
    reads = _elements(dims, operands)
    value = term(*(read.value for read in reads))
    total = fold(op, value, lift(init, value.type), prod(dim.size for dim in dims))
    return Nest(_sizes(dims), reads, (Out("y", (), total.type, total.result, total),))


def _elements(dims: tuple[Dim, ...], operands: Mapping[str, TensorType | None]) -> tuple[Read, ...]:
    present = {name: kind for name, kind in operands.items() if kind is not None}
    own = {name: dims[len(dims) - len(kind.shape) :] for name, kind in present.items()}
    return tuple(Read(name, own[name], kind) for name, kind in present.items())


def _sizes(dims: Iterable[Dim]) -> tuple[tuple[str, int], ...]:
    return tuple((dim.name, dim.size) for dim in dims)


def _check_fold(out: Out) -> None:
    fold = out.fold
    assert fold is not None
    if fold.op not in FOLDS:
        raise TypeError(f"{out.name}: no fold by {fold.op}")
    if fold.fused and not fold.factors:
        raise TypeError(f"{out.name}: only a sum of products is fused")
    # How far the terms may lead is what the fold's maker knows; where it starts, anybody can see.
    if not _holds(fold.type, fold.init.type):
        raise TypeError(f"{out.name}: {fold.type} does not hold {fold.init.type}")
    kinds = (fold.type, fold.term.type)
    if any(isinstance(kind, Float) for kind in kinds) and kinds[0] != kinds[1]:
        raise TypeError(f"{out.name}: {fold.term.type} is no term of {fold.type}")


def _holds(wide: Scalar, narrow: Scalar) -> bool:
    if isinstance(wide, Int) and isinstance(narrow, Int):
        return wide.holds(narrow)
    return wide == narrow


def _check_expr(expr: Expr, known: Mapping[str, Scalar], sizes: Mapping[str, int]) -> None:
    for node in subexpressions(expr):
        if isinstance(node, Local) and known.get(node.name) != node.type:
            raise TypeError(f"local {node.name} of type {node.type} is not read before")
        if isinstance(node, Dim) and sizes.get(node.name) != node.size:
            raise TypeError(f"{node.name} of size {node.size} is no dim of the nest")


def _check_read(read: Read, known: Mapping[str, Scalar], sizes: Mapping[str, int]) -> None:
    if read.local in known or read.local == ACCUMULATOR:
        raise TypeError(f"local {read.local} is taken")
    if len(read.access) != len(read.type.shape):
        raise TypeError(f"{read.local}: {len(read.access)} indices into {read.type}")
    for index, length in zip(read.access, read.type.shape, strict=True):
        _check_expr(index, known, sizes)
        if not _holds(Int(0, length - 1), index.type):
            raise TypeError(f"{read.local}: index {index.type} leaves 0..{length - 1}")
