"""One nest in NumPy: vectorised over the dims of an output and over a batch.

Integer folds are exact in any order, so they are vectorised too where that is quicker; a float fold
takes its turns one by one, as its contract says.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.expr import (
    Apply,
    Const,
    Dim,
    Expr,
    Local,
    argument_types,
    subexpressions,
)
from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.nest import ACCUMULATOR, Fold, Nest, Out
from edgetrain.compiler.primitives import PRIMITIVES
from edgetrain.compiler.rounding import fused_multiply_add
from edgetrain.compiler.types import Int
from edgetrain.contraction import Contraction

Array = NDArray[Any]
Turn = tuple[int, ...]

CHUNK = 4096
"""Samples evaluated together: their intermediates stay in cache."""

_SPREAD_LIMIT = 2**18
"""Elements up to which a constant is repeated for every sample of a chunk."""

_FEW_ELEMENTS = 4096
"""Of a turn: below, the overhead of each NumPy call outweighs the work, and turns are merged."""

_MERGE: dict[str, Callable[..., Array]] = {"add": np.add.reduce, "max": np.maximum.reduce}
_STEP: dict[str, Callable[..., Array]] = {
    "add": np.add,
    "max": PRIMITIVES["max"].numpy,
}


class Tensor(NamedTuple):
    """An operand; `batched`: its last axis is the batch, which the nest does not know.

    The batch comes last so that a constant of a channel meets a long run of its samples.
    """

    array: Array
    batched: bool

    @staticmethod
    def samples(array: Array) -> "Tensor":
        """A batch whose first axis counts the samples, as users have it."""
        return Tensor(np.moveaxis(array, 0, -1), True)

    def by_sample(self) -> Array:
        """The batch with the samples along the first axis."""
        return np.moveaxis(self.array, -1, 0) if self.batched else self.array


def evaluate(nest: Nest, operands: Sequence[Array]) -> list[Array]:
    """The results of `nest` for one operand each."""
    results = NestExecutor(nest, {})([Tensor(np.asarray(array), False) for array in operands])
    return [result.array for result in results]


class NestExecutor:
    """`nest`, ready to run; `fixed` are its constant operands by position."""

    def __init__(self, nest: Nest, fixed: Mapping[int, Array]) -> None:
        self._outs = [_OutPlan(nest, out, fixed) for out in nest.outs]

    def __call__(self, operands: Sequence[Tensor]) -> list[Tensor]:
        """The results; batched if any operand is."""
        samples = next((o.array.shape[-1] for o in operands if o.batched), None)
        # IEEE says what overflow and invalid operations give; here they are no accident.
        with np.errstate(all="ignore"):
            return [plan(operands, samples) for plan in self._outs]


class _OutPlan:
    """All of one output that does not depend on the operands' elements."""

    def __init__(self, nest: Nest, out: Out, fixed: Mapping[int, Array]) -> None:
        self._shape = tuple(nest.sizes[d] for d in out.dims)
        self._elements = prod(self._shape)
        self._dtype = storage_dtype(out.type)
        self._fold = out.fold
        self._body = _Evaluator(nest, out.body, out.dims, (), fixed)
        if out.fold is None:
            return
        folded = nest.folded_dims(out)
        self._contraction = Contraction.of(nest, out, fixed)
        self._init = _Evaluator(nest, out.fold.init, out.dims, (), fixed)
        contract = out.fold.contract
        self._lanes = contract.lanes if contract is not None and folded else 1
        terms: tuple[Expr, ...] = (out.fold.term,)
        self._step = _STEP[out.fold.op]
        if out.fold.fused:
            terms = out.fold.factors
            self._step = lambda total, a, b: fused_multiply_add(a, b, total)
        self._terms = [_Evaluator(nest, term, out.dims, folded, fixed) for term in terms]
        self._turns: list[Turn] = list(product(*(range(nest.sizes[d]) for d in folded)))
        self._merged = None
        if isinstance(out.fold.type, Int):
            self._merged = _Evaluator(nest, out.fold.term, (*out.dims, *folded), (), fixed)
        self._merged_shape = (*self._shape, *(nest.sizes[d] for d in folded))
        self._merged_axes = tuple(range(len(out.dims), len(out.dims) + len(folded)))

    def __call__(self, operands: Sequence[Tensor], samples: int | None) -> Tensor:
        total = None if self._fold is None else self._total(self._fold, operands, samples or 1)
        value = self._body(operands, (), total)
        shape = (*self._shape, samples or 1)
        if value.shape != shape:
            value = np.broadcast_to(value, shape)
        if value.dtype != self._dtype:
            value = value.astype(self._dtype)
        return Tensor(value[..., 0], False) if samples is None else Tensor(value, True)

    def _total(self, fold: Fold, operands: Sequence[Tensor], samples: int) -> Array:
        """The finished fold."""
        if self._contraction is not None:
            return self._contraction([o.array for o in operands])
        dtype = storage_dtype(fold.type)
        total = np.asarray(self._init(operands, ())).astype(dtype)
        few = self._elements * samples < _FEW_ELEMENTS
        if self._merged is not None and few and self._merged_axes:
            terms = np.broadcast_to(self._merged(operands, ()), (*self._merged_shape, samples))
            merged = _MERGE[fold.op](terms, axis=self._merged_axes, dtype=dtype)
            return _STEP[fold.op](total, merged)
        sums = [total] if self._lanes == 1 else [np.full_like(total, -0.0)] * self._lanes
        for turn in self._turns:
            values = (np.asarray(term(operands, turn, samples=samples)) for term in self._terms)
            lane = turn[-1] % self._lanes if turn else 0
            sums[lane] = self._step(sums[lane], *(v.astype(dtype, copy=False) for v in values))
        while len(sums) > 1:
            sums = [a + b for a, b in zip(sums[::2], sums[1::2], strict=True)]
        return sums[0] if self._lanes == 1 else sums[0] + total


class _Evaluator:
    """An expression over arrays that broadcast over (*axes, batch), at a turn of other dims."""

    def __init__(
        self,
        nest: Nest,
        expr: Expr,
        axes: tuple[str, ...],
        turn_dims: tuple[str, ...],
        fixed: Mapping[int, Array],
    ) -> None:
        self._space = _Space(axes, turn_dims, nest.sizes)
        self._nest = nest
        reads = {read.local: i for i, read in enumerate(nest.reads)}
        wanted = sorted(reads[name] for name in nest.needed([expr]))
        self._loads = [_Load(nest, i, self._space, fixed.get(i)) for i in wanted]
        self._formula = _Formula(expr, self._space)

    def __call__(
        self,
        operands: Sequence[Tensor],
        turn: Turn,
        accumulated: Array | None = None,
        samples: int = 1,
    ) -> Array:
        known: dict[str, Array] = {}
        if accumulated is not None:
            known[ACCUMULATOR] = accumulated
        for load in self._loads:
            known[load.local] = load(operands[load.position], turn, known, samples)
        return self._formula(known, turn)


@dataclass(frozen=True)
class _Space:
    """Which dims are axes of the arrays (before the batch), and which are fixed by a turn."""

    axes: tuple[str, ...]
    turn_dims: tuple[str, ...]
    sizes: Mapping[str, int]

    def index(self, name: str) -> Array:
        """The index of a dim that is an axis, along that axis."""
        shape = [1] * (len(self.axes) + 1)
        shape[self.axes.index(name)] = self.sizes[name]
        return np.arange(self.sizes[name]).reshape(shape)


class _Load:
    """The elements that one read sees."""

    def __init__(self, nest: Nest, position: int, space: _Space, fixed: Array | None) -> None:
        read = nest.reads[position]
        self.local = read.local
        self.position = position
        self._space = space
        names = [index.name for index in read.access if isinstance(index, Dim)]
        self._plain = len(names) == len(read.access) == len(set(names))
        self._cache: dict[tuple[Turn, bool], Array] | None = None
        if self._plain:
            self._prepare_view(names)
            self._cache = {} if fixed is not None else None
        else:
            self._indices = [_Formula(index, space) for index in read.access]

    def _prepare_view(self, names: Sequence[str]) -> None:
        """A view: pick the turn's indices, order the axes, insert those that are missing."""
        space = self._space
        self._picks = [
            space.turn_dims.index(name) if name in space.turn_dims else None for name in names
        ]
        free = [name for name in names if name not in space.turn_dims]
        self._order = sorted(range(len(free)), key=lambda i: space.axes.index(free[i]))
        self._shape = tuple(space.sizes[a] if a in free else 1 for a in space.axes)

    def __call__(
        self, operand: Tensor, turn: Turn, known: Mapping[str, Array], samples: int
    ) -> Array:
        if self._cache is not None:
            return self._constant(operand, turn, samples)
        if self._plain:
            return self._view(operand, turn)
        indices = [np.asarray(index(known, turn)) for index in self._indices]
        if operand.batched:
            indices.append(np.arange(operand.array.shape[-1]))
        return np.asarray(operand.array[tuple(indices)])

    def _constant(self, operand: Tensor, turn: Turn, samples: int) -> Array:
        """A constant, kept; of a vector, for a whole chunk, one copy a sample, in the order in
        which a matrix product leaves its result: then a primitive is one loop over both."""
        assert self._cache is not None
        spread = samples == CHUNK and 1 < prod(self._shape) * CHUNK <= _SPREAD_LIMIT
        spread = spread and len(self._shape) == 1
        if (turn, spread) not in self._cache:
            array = self._view(operand, turn)
            if spread:
                array = np.broadcast_to(array, (*self._shape, CHUNK))
            self._cache[turn, spread] = np.asfortranarray(array)
        return self._cache[turn, spread]

    def _view(self, operand: Tensor, turn: Turn) -> Array:
        array = operand.array if operand.batched else operand.array[..., None]
        array = array[tuple(slice(None) if p is None else turn[p] for p in self._picks)]
        if len(self._order) > 1:
            array = array.transpose((*self._order, len(self._order)))
        return array.reshape((*self._shape, array.shape[-1]))


class _Formula:
    """The primitives of an expression in order, each in arrays of its working type."""

    def __init__(self, expr: Expr, space: _Space) -> None:
        nodes = list(subexpressions(expr))
        slot = {node: i for i, node in enumerate(nodes)}
        self._registers: list[Any] = [None] * len(nodes)
        self._locals: list[tuple[int, str]] = []
        self._turns: list[tuple[int, int]] = []
        self._steps: list[tuple[int, Callable[..., Array], tuple[tuple[int, Any], ...]]] = []
        for node, i in slot.items():
            if isinstance(node, Const):
                self._registers[i] = np.asarray(node.value, storage_dtype(node.type))
            elif isinstance(node, Local):
                self._locals.append((i, node.name))
            elif isinstance(node, Dim):
                if node.name in space.turn_dims:
                    self._turns.append((i, space.turn_dims.index(node.name)))
                else:
                    self._registers[i] = space.index(node.name)
            else:
                arguments = tuple(
                    (slot[a], dtype) for a, dtype in zip(node.args, _casts(node), strict=True)
                )
                self._steps.append((i, PRIMITIVES[node.op].numpy, arguments))

    def __call__(self, known: Mapping[str, Array], turn: Turn) -> Array:
        registers = self._registers.copy()
        for i, name in self._locals:
            registers[i] = known[name]
        for i, position in self._turns:
            registers[i] = np.asarray(turn[position])
        for i, function, arguments in self._steps:
            values = []
            for source, dtype in arguments:
                value = registers[source]
                values.append(value if value.dtype == dtype else value.astype(dtype))
            registers[i] = function(*values)
        result: Array = registers[-1]
        return result


def _casts(node: Apply) -> list[np.dtype[Any]]:
    """The type in which each argument enters."""
    casts = [storage_dtype(scalar) for scalar in argument_types(node)]
    if node.op == "select":
        casts[0] = np.dtype(np.bool_)
    return casts
