"""Loss scaling: gradients in FLOAT16 are computed larger than they are, so that few are lost.

The scale is a power of two.  A scale that is state finds itself: it halves where a gradient has
overflowed, and doubles after many steps in which none has.
"""

from numpy.random import Generator

from edgetrain.compiler.expr import (
    Expr,
    add,
    div,
    lt,
    maximum,
    minimum,
    mul,
    narrow,
    select,
    widen,
)
from edgetrain.compiler.nest import Nest, axes, elementwise, reduction
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import BOOL, FLOAT16, FLOAT32, Float, Int, TensorType

FIRST = 2.0**10
"""The gradients of the classifying losses are at most 1: they may grow sixty-four-fold."""
LEAST, GREATEST = 1.0, 2.0**24
PATIENCE = 200
"""After so many steps without overflow the scale doubles."""
STEPS = Int(0, PATIENCE - 1)

_NUMBER = TensorType((), FLOAT32)
_FLAG = TensorType((), BOOL)


def _scale_example(rng: Generator) -> Example:
    shape = (int(rng.integers(1, 40)),)
    if rng.random() < 0.3:
        return Example((TensorType(shape, Int(-(2**15), 2**15)), TensorType((), Int(0, 2**15))))
    return Example((TensorType(shape, FLOAT32), _NUMBER))


@register("scale_by", _scale_example)
def scale_by(x: TensorType, s: TensorType) -> Nest:
    """y = x·s, element by element; s a scalar."""
    return elementwise(axes(x.shape), mul, x=x, s=s)


def _reciprocal_example(rng: Generator) -> Example:
    shape = (int(rng.integers(1, 12)),) if rng.random() < 0.5 else ()
    return Example((TensorType(shape, FLOAT32),))


@register("reciprocal", _reciprocal_example)
def reciprocal(s: TensorType) -> Nest:
    """y = 1/s, element by element."""
    return elementwise(axes(s.shape), lambda s: div(1.0, s), s=s)


def _unscale_example(rng: Generator) -> Example:
    shape = tuple(int(v) for v in rng.integers(1, 12, int(rng.integers(1, 3))))
    to = FLOAT16 if rng.random() < 0.5 else FLOAT32
    return Example((TensorType(shape, FLOAT16), _NUMBER), {"to": to})


@register("unscale", _unscale_example)
def unscale(g: TensorType, r: TensorType, *, to: Float) -> Nest:
    """y = g·r in FLOAT32, rounded to `to`, element by element; g FLOAT16, r a FLOAT32 scalar."""

    def unscaled(g: Expr, r: Expr) -> Expr:
        value = mul(widen(g), r)
        return narrow(value) if to == FLOAT16 else value

    return elementwise(axes(g.shape), unscaled, g=g, r=r)


def _float_example(rng: Generator) -> Example:
    shape = tuple(int(v) for v in rng.integers(1, 12, int(rng.integers(1, 3))))
    return Example((TensorType(shape, FLOAT16),))


def _finite(size: Expr) -> Expr:
    return lt(size, float("inf"))


@register("greatest_size", _float_example)
def greatest_size(x: TensorType) -> Nest:
    """y = the greatest |x| of all elements; infinity where there is a NaN."""

    def held(x: Expr) -> Expr:
        size = select(lt(x, 0.0), mul(x, -1.0), x)
        return select(_finite(size), size, float("inf"))

    return reduction(axes(x.shape), "max", held, 0.0, x=x)


def _product_example(rng: Generator) -> Example:
    sizes = (TensorType((), FLOAT16),) * int(rng.integers(1, 3))
    return Example((_FLAG, *sizes))


@register("still_finite", _product_example)
def still_finite(ok: TensorType, a: TensorType, b: TensorType | None = None) -> Nest:
    """y = ok, and a, or the product a·b, is finite; scalars, a and b not negative."""

    def still(ok: Expr, a: Expr, b: Expr | None = None) -> Expr:
        return select(_finite(a if b is None else mul(a, b)), ok, 0)

    return elementwise((), still, ok=ok, a=a, b=b)


def _state_example(_: Generator) -> Example:
    return Example((_NUMBER, TensorType((), STEPS), _FLAG))


@register("next_loss_scale", _state_example)
def next_loss_scale(s: TensorType, good: TensorType, ok: TensorType) -> Nest:
    """y = s; halved unless ok, not below 1; doubled at the last of the good steps, up to 2^24."""

    def following(s: Expr, good: Expr, ok: Expr) -> Expr:
        doubled = minimum(mul(s, 2.0), GREATEST)
        kept = select(lt(good, PATIENCE - 1), s, doubled)
        return select(ok, kept, maximum(mul(s, 0.5), LEAST))

    return elementwise((), following, s=s, good=good, ok=ok)


@register("next_good_steps", lambda rng: Example(_state_example(rng).operands[1:]))
def next_good_steps(good: TensorType, ok: TensorType) -> Nest:
    """y = the steps since the scale has changed: one more if ok, from 199 or otherwise 0."""

    def following(good: Expr, ok: Expr) -> Expr:
        more = select(lt(good, STEPS.hi), minimum(add(good, 1), STEPS.hi), 0)
        return select(ok, more, 0)

    return elementwise((), following, good=good, ok=ok)
