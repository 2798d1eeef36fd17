"""Elementwise arithmetic."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from numpy.random import Generator

from edgetrain.compiler.expr import Dim, Expr, add, mul
from edgetrain.compiler.nest import Nest, Out, Read
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import FLOAT32, Int, TensorType

if TYPE_CHECKING:
    from edgetrain.compiler.graph import GraphBuilder, Node, Value


def _affine_gradient(
    b: "GraphBuilder", node: "Node", d: "Value", needed: tuple[bool, ...]
) -> "tuple[Value | None, ...]":
    """dx = d·a, da = d·x, db = d."""
    x, a, _ = node.inputs
    dx = b.apply("mul", d, a) if needed[0] else None
    da = b.apply("mul", d, x) if needed[1] else None
    return dx, da, d


def _example(rng: Generator) -> Example:
    n = int(rng.integers(1, 40))
    if rng.random() < 0.3:
        return Example((TensorType((n,), FLOAT32),) * 3)
    a = Int(-(2**40), 2**40) if rng.random() < 0.5 else Int(-7, 9)
    kinds = (Int(-1000, 1000), a, Int(-(2**30), 2**33))
    return Example(tuple(TensorType((n,), kind) for kind in kinds))


@register("affine", _example, _affine_gradient)
def affine(x: TensorType, a: TensorType, b: TensorType) -> Nest:
    """y[n] = x[n]·a[n] + b[n]; all (N)."""
    (n_size,) = x.shape
    n = Dim("n", n_size)
    reads = (Read("x", (n,), x), Read("a", (n,), a), Read("b", (n,), b))
    body = add(mul(reads[0].value, reads[1].value), reads[2].value)
    return Nest((("n", n_size),), reads, (Out("y", ("n",), body.type, body),))


def _same_example(rng: Generator) -> Example:
    shape = tuple(int(v) for v in rng.integers(1, 12, int(rng.integers(1, 3))))
    return Example((TensorType(shape, FLOAT32),) * 2)


def _elementwise(a: TensorType, b: TensorType, combine: Callable[[Expr, Expr], Expr]) -> Nest:
    dims = tuple((f"i{axis}", length) for axis, length in enumerate(a.shape))
    index = tuple(Dim(*d) for d in dims)
    left, right = Read("a", index, a), Read("b", index, b)
    body = combine(left.value, right.value)
    out = Out("y", tuple(name for name, _ in dims), body.type, body)
    return Nest(dims, (left, right), (out,))


@register("mul", _same_example)
def multiply(a: TensorType, b: TensorType) -> Nest:
    """y = a·b, element by element, of one shape."""
    return _elementwise(a, b, mul)


@register("add", _same_example)
def plus(a: TensorType, b: TensorType) -> Nest:
    """y = a + b, element by element, of one shape."""
    return _elementwise(a, b, add)


def _scale_example(rng: Generator) -> Example:
    return Example(_same_example(rng).operands[:1], {"factor": 0.25})


@register("scale", _scale_example)
def scale(x: TensorType, *, factor: float) -> Nest:
    """y = x·factor, element by element."""
    dims = tuple((f"i{axis}", length) for axis, length in enumerate(x.shape))
    read = Read("x", tuple(Dim(*d) for d in dims), x)
    body = mul(read.value, factor)
    return Nest(dims, (read,), (Out("y", tuple(name for name, _ in dims), body.type, body),))
