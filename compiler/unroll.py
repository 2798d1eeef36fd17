"""A call without loops: what every element of its results is, as one scalar expression.

Constants are known, so a product by one is a multiple, and what depends on no input is a number.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.expr import (
    Const,
    Dim,
    Expr,
    Local,
    apply,
    lift,
    substitute,
)
from edgetrain.compiler.nest import Nest, Out
from edgetrain.compiler.primitives import PRIMITIVES
from edgetrain.compiler.types import Float, Int, Scalar, TensorType

Elements: TypeAlias = NDArray[Any]
"""Of the shape of a tensor, an expression each."""


def unroll(nest: Nest, operands: Sequence[Elements]) -> list[Elements]:
    """The elements of every result of `nest`, as expressions over those of its operands."""
    results = []
    for out in nest.outs:
        made = np.empty(nest.out_type(out).shape, object)
        for index in np.ndindex(made.shape):
            made[index] = _element(nest, out, dict(zip(out.dims, index, strict=True)), operands)
        results.append(made)
    return results


def elements(name: str, kind: TensorType) -> Elements:
    """The elements of a tensor that is known when it is there."""
    made = np.empty(kind.shape, object)
    for index in np.ndindex(kind.shape):
        made[index] = Local(element(name, index), kind.scalar)
    return made


def element(name: str, index: tuple[int, ...]) -> str:
    """What the element of a buffer is called."""
    return "_".join((name, *map(str, index)))


def numbers(array: NDArray[Any], kind: TensorType) -> Elements:
    """The elements of a tensor that never changes."""
    made = np.empty(kind.shape, object)
    for index in np.ndindex(kind.shape):
        made[index] = _number(array[index], kind.scalar)
    return made


def _number(value: Any, kind: Scalar) -> Const:
    """Of an integer, with the range of itself alone."""
    if isinstance(kind, Float):
        return Const(float(value), kind)
    return Const(int(value), Int(int(value), int(value)))


def _element(nest: Nest, out: Out, at: Mapping[str, int], operands: Sequence[Elements]) -> Expr:
    if out.fold is None:
        return _value(nest, out.body, at, operands)
    total = _value(nest, out.fold.init, at, operands)
    folded = nest.folded_dims(out)
    for turn in product(*(range(nest.sizes[dim]) for dim in folded)):
        here = {**at, **dict(zip(folded, turn, strict=True))}
        total = simplified(out.fold.op, total, _value(nest, out.fold.term, here, operands))
    return _value(nest, out.body, at, operands, {out.fold.result: total})


def _value(
    nest: Nest,
    expr: Expr,
    at: Mapping[str, int],
    operands: Sequence[Elements],
    known: Mapping[Expr, Expr] | None = None,
) -> Expr:
    """`expr` at one turn of the loops."""
    values: dict[Expr, Expr] = {**(known or {})}
    for name, turn in at.items():
        values[Dim(name, nest.sizes[name])] = lift(turn)
    needed = set(nest.needed([expr]))
    for read, operand in zip(nest.reads, operands, strict=True):
        if read.local in needed:
            index = [rewritten(access, values) for access in read.access]
            values[read.value] = _gathered(operand, index)
    return rewritten(expr, values)


def _gathered(operand: Elements, index: list[Expr]) -> Expr:
    """The element of `operand` at an index that need not be known: a chain of selects."""
    for axis, at in enumerate(index):
        if not isinstance(at, Const):
            chosen: Expr | None = None
            for turn in range(operand.shape[axis]):
                part = _gathered(operand, [*index[:axis], lift(turn), *index[axis + 1 :]])
                here = simplified("eq", at, lift(turn))
                chosen = part if chosen is None else simplified("select", here, part, chosen)
            assert chosen is not None
            return chosen
    found: Expr = operand[tuple(int(at.value) for at in index if isinstance(at, Const))]
    return found


def rewritten(expr: Expr, values: Mapping[Expr, Expr]) -> Expr:
    """`expr` with nodes replaced, without what constants make plain."""
    return substitute(expr, values, simplified)


def simplified(op: str, *args: Expr) -> Expr:
    """`op` of `args`, without what constants of integers make plain."""
    if any(isinstance(a.type, Float) for a in args):
        return apply(op, *args)
    if all(isinstance(a, Const) for a in args):
        return _computed(op, args)
    match op, args:
        case "add", (Const(value=0), b):
            return b
        case (("add" | "sub" | "shl" | "shr"), (a, Const(value=0))):
            return a
        case "mul", (Const(), b):
            return simplified("mul", b, args[0])
        case "mul", (a, Const(value=1)):
            return a
        case "mul", (_, Const(value=0) as zero):
            return zero
        case "select", (Const(value=value), a, b):
            return a if value else b
        case "eq", (a, b) if a == b:
            return lift(1)
        case "assume", (a, *_):
            assert isinstance(a.type, Int)
            lo, hi = (int(b.value) for b in args[1:] if isinstance(b, Const))
            return a if lo <= a.type.lo <= a.type.hi <= hi else apply(op, *args)
    return apply(op, *args)


def _computed(op: str, args: tuple[Expr, ...]) -> Const:
    numbers = [np.asarray(int(a.value), np.int64) for a in args if isinstance(a, Const)]
    value = int(PRIMITIVES[op].numpy(*numbers))
    return Const(value, Int(value, value))
