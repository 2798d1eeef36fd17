"""Elementwise arithmetic."""

from typing import TYPE_CHECKING

from numpy.random import Generator

from edgetrain.compiler.expr import Dim, Expr, add, clamp, lift, lt, mul, product, select, sub
from edgetrain.compiler.nest import Nest, axes, elementwise
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
    return elementwise((Dim("n", n_size),), lambda x, a, b: add(mul(x, a), b), x=x, a=a, b=b)


def _same_example(rng: Generator) -> Example:
    shape = tuple(int(v) for v in rng.integers(1, 12, int(rng.integers(1, 3))))
    return Example((TensorType(shape, FLOAT32),) * 2)


@register("mul", _same_example)
def multiply(a: TensorType, b: TensorType) -> Nest:
    """y = a·b, element by element, of one shape; integers beside floats become floats."""
    return elementwise(axes(a.shape), product, a=a, b=b)


def _plus_gradient(
    _b: "GraphBuilder", _node: "Node", d: "Value", _needed: tuple[bool, ...]
) -> "tuple[Value | None, ...]":
    """da = db = d."""
    return d, d


@register("add", _same_example, _plus_gradient)
def plus(a: TensorType, b: TensorType) -> Nest:
    """y = a + b, element by element, of one shape."""
    return elementwise(axes(a.shape), add, a=a, b=b)


@register("subtract", _same_example)
def subtract(a: TensorType, b: TensorType) -> Nest:
    """y = a − b, element by element, of one shape."""
    return elementwise(axes(a.shape), sub, a=a, b=b)


@register("signum", lambda rng: Example(_same_example(rng).operands[:1]))
def signum(x: TensorType) -> Nest:
    """y = 1 where x is above 0, −1 where it is below, else 0, element by element."""

    def of(x: Expr) -> Expr:
        one, zero, minus = (lift(number, x.type) for number in (1, 0, -1))
        return select(lt(zero, x), one, select(lt(x, zero), minus, zero))

    return elementwise(axes(x.shape), of, x=x)


def _move_example(rng: Generator) -> Example:
    if rng.random() < 0.5:
        return _same_example(rng)
    shape = _same_example(rng).operands[0].shape
    return Example((TensorType(shape, Int(-50, 300)), TensorType(shape, Int(-200, 200))))


@register("move", _move_example)
def move(x: TensorType, by: TensorType) -> Nest:
    """y = x + by, element by element, of one shape; integers are held within the range of x."""

    def moved(x: Expr, by: Expr) -> Expr:
        return clamp(add(x, by), x.type) if isinstance(x.type, Int) else add(x, by)

    return elementwise(axes(x.shape), moved, x=x, by=by)


def _scale_example(rng: Generator) -> Example:
    return Example(_same_example(rng).operands[:1], {"factor": 0.25})


@register("scale", _scale_example)
def scale(x: TensorType, *, factor: float) -> Nest:
    """y = x·factor, element by element."""
    return elementwise(axes(x.shape), lambda x: mul(x, factor), x=x)


def _mix_example(rng: Generator) -> Example:
    return Example(_same_example(rng).operands, {"p": 0.75, "q": -0.5})


@register("mix", _mix_example)
def mix(a: TensorType, b: TensorType, *, p: float, q: float) -> Nest:
    """y = p·a + q·b, element by element, of one shape."""
    return elementwise(axes(a.shape), lambda a, b: add(mul(a, p), mul(b, q)), a=a, b=b)
