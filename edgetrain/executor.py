"""One nest in NumPy: vectorised over the dims of an output and over a batch, in exact order over
the dims that it folds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.expr import (
    PRIMITIVES,
    Apply,
    Const,
    Dim,
    Expr,
    Local,
    subexpressions,
    working_type,
)
from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.nest import ACCUMULATOR, Nest, Out, Read
from edgetrain.compiler.types import Int, Scalar

Array = NDArray[Any]

_FOLD: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add,
    "max": lambda a, b: np.where(a < b, b, a),
}


class Tensor(NamedTuple):
    """An operand; `batched`: its first axis is the batch, which the nest does not know."""

    array: Array
    batched: bool


@dataclass(frozen=True)
class _Scope:
    """What an expression sees: arrays that broadcast over (batch, *dims of the output)."""

    out_dims: tuple[str, ...]
    sizes: Mapping[str, int]
    turn: Mapping[str, int]
    locals: Mapping[str, Array]

    def index(self, dim: Dim) -> Array:
        if dim.name in self.turn:
            return np.asarray(self.turn[dim.name])
        axis = self.out_dims.index(dim.name)
        shape = [1] * (len(self.out_dims) + 1)
        shape[axis + 1] = dim.size
        return np.arange(dim.size).reshape(shape)


class NestExecutor:
    """`nest`, ready to run; `fixed` are its constant operands by position."""

    def __init__(self, nest: Nest, fixed: Mapping[int, Array]) -> None:
        self.nest = nest
        self._contractions = [_Contraction.of(nest, out, fixed) for out in nest.outs]

    def __call__(self, operands: Sequence[Tensor]) -> list[Tensor]:
        batched = any(operand.batched for operand in operands)
        results = []
        for out, contraction in zip(self.nest.outs, self._contractions, strict=True):
            array = self._out(out, contraction, operands)
            shape = tuple(self.nest.sizes[d] for d in out.dims)
            lead = next((len(o.array) for o in operands if o.batched), 1)
            full = np.broadcast_to(array, (lead, *shape)).astype(
                storage_dtype(out.type), copy=False
            )
            results.append(Tensor(full if batched else full[0], batched))
        return results

    def _out(
        self, out: Out, contraction: "_Contraction | None", operands: Sequence[Tensor]
    ) -> Array:
        fold = out.fold
        if fold is None:
            return self._evaluate(out, out.body, operands, {})
        if contraction is not None:
            total = contraction(operands)
        else:
            dims = self.nest.folded_dims(out)
            dtype = storage_dtype(fold.type)
            total = self._evaluate(out, fold.init, operands, {}).astype(dtype)
            for indices in product(*(range(self.nest.sizes[d]) for d in dims)):
                turn = dict(zip(dims, indices, strict=True))
                term = self._evaluate(out, fold.term, operands, turn).astype(dtype, copy=False)
                total = _FOLD[fold.op](total, term)
        return self._evaluate(out, out.body, operands, {}, total)

    def _evaluate(
        self,
        out: Out,
        expr: Expr,
        operands: Sequence[Tensor],
        turn: Mapping[str, int],
        accumulated: Array | None = None,
    ) -> Array:
        wanted = _locals_of(expr, self.nest.reads)
        known: dict[str, Array] = {} if accumulated is None else {ACCUMULATOR: accumulated}
        scope = _Scope(out.dims, self.nest.sizes, turn, known)
        for read, operand in zip(self.nest.reads, operands, strict=True):
            if read.local in wanted:
                known[read.local] = _gather(read, operand, scope)
        return evaluate(expr, scope)


def _locals_of(expr: Expr, reads: Sequence[Read]) -> set[str]:
    """The reads on which `expr` depends, also through indices."""
    by_name = {read.local: read for read in reads}
    wanted: set[str] = set()
    pending = [expr]
    while pending:
        for node in subexpressions(pending.pop()):
            if isinstance(node, Local) and node.name in by_name and node.name not in wanted:
                wanted.add(node.name)
                pending.extend(by_name[node.name].access)
    return wanted


def _gather(read: Read, operand: Tensor, scope: _Scope) -> Array:
    """The elements that `read` sees, broadcastable over (batch, *dims)."""
    lead = 1 if operand.batched else 0
    if all(isinstance(i, Dim) for i in read.access) and len(set(read.access)) == len(read.access):
        names = [i.name for i in read.access if isinstance(i, Dim)]
        array = operand.array
        fixed = tuple(scope.turn.get(name, slice(None)) for name in names)
        array = array[(slice(None),) * lead + fixed]
        free = [name for name in names if name not in scope.turn]
        order = sorted(range(len(free)), key=lambda i: scope.out_dims.index(free[i]))
        array = array.transpose((*range(lead), *(lead + i for i in order)))
        shape = [1] * (len(scope.out_dims) + 1)
        if operand.batched:
            shape[0] = len(array)
        for name in free:
            shape[scope.out_dims.index(name) + 1] = scope.sizes[name]
        return array.reshape(shape)
    indices = [evaluate(index, scope) for index in read.access]
    if operand.batched:
        rows = np.arange(len(operand.array)).reshape((-1,) + (1,) * len(scope.out_dims))
        indices.insert(0, rows)
    return np.asarray(operand.array[tuple(indices)])


def evaluate(expr: Expr, scope: _Scope) -> Array:
    """`expr` in arrays of the working type of each primitive."""
    values: dict[Expr, Array] = {}
    for node in subexpressions(expr):
        if isinstance(node, Const):
            values[node] = np.asarray(node.value, storage_dtype(node.type))
        elif isinstance(node, Local):
            values[node] = scope.locals[node.name]
        elif isinstance(node, Dim):
            values[node] = scope.index(node)
        else:
            values[node] = _apply(node, [values[a] for a in node.args])
    return values[expr]


def _apply(node: Apply, arguments: list[Array]) -> Array:
    dtype = storage_dtype(working_type(node))
    cast = [a.astype(dtype, copy=False) for a in arguments]
    if node.op == "select":
        cast[0] = arguments[0]
    return PRIMITIVES[node.op].numpy(*cast)


@dataclass(frozen=True)
class _Contraction:
    """A sum of products over one dim, done by a matrix product in floats that is exact.

    Every partial sum, in whatever order, is an integer below 2^24 (float32) or 2^53 (float64), so
    that no rounding happens and the order cannot matter.
    """

    data: int
    matrix: Array
    bias: int | None
    type: Scalar

    @staticmethod
    def of(nest: Nest, out: Out, fixed: Mapping[int, Array]) -> "_Contraction | None":
        """The contraction that `out` is, or None."""
        fold, dims = out.fold, nest.folded_dims(out)
        if fold is None or fold.op != "add" or len(dims) != 1 or len(out.dims) != 1:
            return None
        term = fold.term
        if not (isinstance(term, Apply) and term.op == "mul" and isinstance(fold.type, Int)):
            return None
        k, n = Dim(dims[0], nest.sizes[dims[0]]), Dim(out.dims[0], nest.sizes[out.dims[0]])
        position = {read.local: i for i, read in enumerate(nest.reads)}
        data = weights = None
        for argument in term.args:
            at = position.get(argument.name) if isinstance(argument, Local) else None
            if at is None:
                return None
            if nest.reads[at].access == (k,):
                data = at
            elif at in fixed and nest.reads[at].access in ((k, n), (n, k)):
                weights = at
        if data is None or weights is None:
            return None
        bias = None
        if isinstance(fold.init, Local):
            bias = position[fold.init.name]
            if bias not in fixed or nest.reads[bias].access != (n,):
                return None
        elif not (isinstance(fold.init, Const) and fold.init.value == 0):
            return None
        matrix = fixed[weights].astype(np.float64)
        if nest.reads[weights].access == (n, k):
            matrix = matrix.T
        scalar = nest.reads[data].type.scalar
        assert isinstance(scalar, Int)
        largest = float(np.abs(matrix).sum(axis=0).max(initial=0)) * max(-scalar.lo, scalar.hi, 1)
        if largest >= 2**53:
            return None
        dtype = np.float32 if largest < 2**24 else np.float64
        return _Contraction(data, np.ascontiguousarray(matrix, dtype), bias, fold.type)

    def __call__(self, operands: Sequence[Tensor]) -> Array:
        data = operands[self.data].array
        total = np.atleast_2d(data.astype(self.matrix.dtype)) @ self.matrix
        result: Array = total.astype(storage_dtype(self.type))
        if self.bias is not None:
            result = result + operands[self.bias].array.astype(result.dtype)
        return result
