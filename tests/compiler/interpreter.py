"""A nest, one element at a time: slow, and plain enough to be right."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.contract import Contract
from edgetrain.compiler.expr import Apply, Const, Dim, Expr, Local
from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.nest import Nest, Out
from tests.compiler.scalars import Number, convert, primitive

Load = Callable[[int, tuple[int, ...]], Number]
"""(operand, index) → element."""
Store = Callable[[int, tuple[int, ...], Number], None]
"""(output, index, element)."""


class Turn:
    """One turn of the loops of a nest: the indices are known, and every read is made anew."""

    def __init__(self, nest: Nest, load: Load, indices: Mapping[str, int]) -> None:
        self.indices = dict(indices)
        self.locals: dict[str, Callable[[], Number]] = {}
        self._results: dict[Expr, Number] = {}
        for position, read in enumerate(nest.reads):
            self.locals[read.local] = partial(self._read, load, position, read.access)

    def _read(self, load: Load, position: int, access: tuple[Expr, ...]) -> Number:
        return load(position, tuple(int(self.value(index)) for index in access))

    def value(self, expr: Expr) -> Number:
        match expr:
            case Const(value, kind):
                return convert(value, kind)
            case Local(name, kind):
                return convert(self.locals[name](), kind)
            case Dim(name, size):
                assert 0 <= self.indices[name] < size
                return self.indices[name]
            case Apply(op, args, kind):
                # A node that others share is computed once, or else it takes exponential time.
                if expr not in self._results:
                    self._results[expr] = primitive(op, [self.value(a) for a in args], kind)
                return self._results[expr]


def run_nest(nest: Nest, load: Load, store: Store, point: Sequence[tuple[str, Expr]] = ()) -> None:
    """Compute every element of every output, in order; of the dims in `point` one turn only."""
    for position, out in enumerate(nest.outs):
        once = {name: int(Turn(nest, load, {}).value(index)) for name, index in point}
        ranges = [
            range(once[d], once[d] + 1) if d in once else range(nest.sizes[d]) for d in out.dims
        ]
        for index in product(*ranges):
            store(
                position, index, element(nest, out, load, dict(zip(out.dims, index, strict=True)))
            )


def element(nest: Nest, out: Out, load: Load, indices: Mapping[str, int]) -> Number:
    """The element of `out` at `indices`."""
    outer = Turn(nest, load, indices)
    fold = out.fold
    if fold is not None:
        contract = fold.contract or Contract()
        init = convert(outer.value(fold.init), fold.type)
        sums: list[Number] = [init] if contract.lanes == 1 else [-0.0] * contract.lanes
        folded = [d for d, _ in nest.dims if d not in out.dims]
        for turns in product(*(range(nest.sizes[d]) for d in folded)):
            inner = Turn(nest, load, {**indices, **dict(zip(folded, turns, strict=True))})
            lane = turns[-1] % contract.lanes if turns else 0
            if contract.fused:
                assert isinstance(fold.term, Apply)
                factors = [inner.value(factor) for factor in fold.term.args]
                sums[lane] = primitive("fma", [*factors, sums[lane]], fold.type)
                continue
            term = inner.value(fold.term)
            # The least type that a fold may have holds every partial result.
            sums[lane] = primitive(fold.op, [sums[lane], term], fold.type)
        while len(sums) > 1:
            pairs = zip(sums[::2], sums[1::2], strict=True)
            sums = [primitive("add", pair, fold.type) for pair in pairs]
        if contract.lanes > 1:
            sums = [primitive("add", [sums[0], init], fold.type)]
        finished = sums[0]
        outer.locals["acc"] = lambda: finished
    return convert(outer.value(out.body), out.type)


def interpret(nest: Nest, operands: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """The outputs of `nest` for operands of the shapes that it reads."""
    results = [
        np.zeros([nest.sizes[d] for d in out.dims], storage_dtype(out.type)) for out in nest.outs
    ]

    def load(position: int, index: tuple[int, ...]) -> Number:
        assert all(0 <= i < n for i, n in zip(index, operands[position].shape, strict=True))
        number: Number = operands[position][index].item()
        return number

    def store(position: int, index: tuple[int, ...], value: Number) -> None:
        results[position][index] = value

    run_nest(nest, load, store)
    return results
