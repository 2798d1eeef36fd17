"""Activations in few bits, as they are kept for the backward pass.

A number keeps its sign exactly, and with it the gradient of a ReLU; its size becomes the middle of
the step in which it lies, of equal steps up to the greatest.  So Chakrabarti and Moseley, "Backprop
with approximate activations for memory-efficient network training", 2019.
"""

from numpy.random import Generator

from edgetrain.compiler.expr import (
    Expr,
    add,
    clamp,
    div,
    floor,
    lt,
    maximum,
    mul,
    narrow,
    select,
    to_float,
    widen,
)
from edgetrain.compiler.nest import Nest, axes, elementwise
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import FLOAT16, FLOAT32, Float, Int, TensorType


def codes(bits: int, *, signed: bool) -> Int:
    """n ≥ 0 of signed numbers is the step n + 1 above zero, n < 0 the step −n below; of numbers
    that are never negative, n > 0 is the step n and 0 is zero itself."""
    return Int(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else Int(0, 2**bits - 1)


def steps(within: Int) -> int:
    """From zero to the greatest."""
    return max(-within.lo, within.hi)


def _float(x: Expr) -> Expr:
    return widen(x) if x.type == FLOAT16 else x


def _example(rng: Generator, kind: Float | Int) -> tuple[TensorType, TensorType]:
    shape = tuple(int(v) for v in rng.integers(1, 12, int(rng.integers(1, 3))))
    return TensorType(shape, kind), TensorType((), FLOAT32)


def _codes_example(rng: Generator) -> Int:
    return codes(int(rng.choice([2, 4, 8])), signed=bool(rng.integers(2)))


@register("save", lambda rng: Example(_example(rng, FLOAT32), {"within": _codes_example(rng)}))
def save(x: TensorType, greatest: TensorType, *, within: Int) -> Nest:
    """y = the code of x, element by element, where no |x| is more than the scalar `greatest`."""

    def code(x: Expr, greatest: Expr) -> Expr:
        x = _float(x)
        step = floor(mul(x, div(float(steps(within)), _float(greatest))))
        if within.lo == 0:
            return select(lt(0.0, x), clamp(add(step, 1), Int(1, within.hi)), 0)
        return select(lt(x, 0.0), clamp(step, Int(within.lo, -1)), clamp(step, Int(0, within.hi)))

    return elementwise(axes(x.shape), code, x=x, greatest=greatest)


def _restore_example(rng: Generator) -> Example:
    return Example(_example(rng, _codes_example(rng)), {"to": FLOAT32})


@register("restore", _restore_example)
def restore(n: TensorType, greatest: TensorType, *, to: Float) -> Nest:
    """y = the number of type `to` for which `save` has kept the code n, element by element."""
    within = n.scalar
    assert isinstance(within, Int)

    def number(n: Expr, greatest: Expr) -> Expr:
        halves = add(mul(n, 2), 1) if within.signed else maximum(add(mul(n, 2), -1), 0)
        value = mul(to_float(halves), mul(_float(greatest), 1 / (2 * steps(within))))
        return narrow(value) if to == FLOAT16 else value

    return elementwise(axes(n.shape), number, n=n, greatest=greatest)
