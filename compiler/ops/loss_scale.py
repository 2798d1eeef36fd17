"""Loss scaling: gradients in FLOAT16 are computed larger than they are, so that few are lost.

The scale is a power of two.  A scale that is state finds itself: it halves where a gradient has
overflowed, and doubles after many steps in which none has.
"""

from numpy.random import Generator

from edgetrain.compiler.expr import (
    Dim,
    Expr,
    add,
    div,
    lift,
    lt,
    maximum,
    minimum,
    mul,
    narrow,
    select,
    widen,
)
from edgetrain.compiler.nest import Nest, Out, Read, fold
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


def _dims(kind: TensorType) -> tuple[tuple[str, int], ...]:
    return tuple((f"i{axis}", length) for axis, length in enumerate(kind.shape))


def _read(name: str, kind: TensorType) -> Read:
    """All of an operand, element by element."""
    return Read(name, tuple(Dim(*d) for d in _dims(kind)), kind)


def _map(kind: TensorType, reads: tuple[Read, ...], body: Expr) -> Nest:
    dims = _dims(kind)
    return Nest(dims, reads, (Out("y", tuple(name for name, _ in dims), body.type, body),))


def _scale_example(rng: Generator) -> Example:
    return Example((TensorType((int(rng.integers(1, 40)),), FLOAT32), _NUMBER))


@register("scale_by", _scale_example)
def scale_by(x: TensorType, s: TensorType) -> Nest:
    """y = x·s, element by element; s a scalar."""
    reads = (_read("x", x), Read("s", (), s))
    return _map(x, reads, mul(reads[0].value, reads[1].value))


@register("reciprocal", lambda _: Example((_NUMBER,)))
def reciprocal(s: TensorType) -> Nest:
    """y = 1/s; s a scalar."""
    read = Read("s", (), s)
    return _map(s, (read,), div(1.0, read.value))


def _unscale_example(rng: Generator) -> Example:
    shape = tuple(int(v) for v in rng.integers(1, 12, int(rng.integers(1, 3))))
    to = FLOAT16 if rng.random() < 0.5 else FLOAT32
    return Example((TensorType(shape, FLOAT16), _NUMBER), {"to": to})


@register("unscale", _unscale_example)
def unscale(g: TensorType, r: TensorType, *, to: Float) -> Nest:
    """y = g·r in FLOAT32, rounded to `to`, element by element; g FLOAT16, r a FLOAT32 scalar."""
    reads = (_read("g", g), Read("r", (), r))
    value = mul(widen(reads[0].value), reads[1].value)
    return _map(g, reads, narrow(value) if to == FLOAT16 else value)


def _float_example(rng: Generator) -> Example:
    shape = tuple(int(v) for v in rng.integers(1, 12, int(rng.integers(1, 3))))
    return Example((TensorType(shape, FLOAT16),))


def _finite(size: Expr) -> Expr:
    return lt(size, float("inf"))


@register("greatest_size", _float_example)
def greatest_size(x: TensorType) -> Nest:
    """y = the greatest |x| of all elements; infinity where there is a NaN."""
    read = _read("x", x)
    size = select(lt(read.value, 0.0), mul(read.value, -1.0), read.value)
    held = select(_finite(size), size, float("inf"))
    best = fold("max", held, lift(0.0, x.scalar), x.size)
    return Nest(_dims(x), (read,), (Out("y", (), x.scalar, best.result, best),))


def _product_example(rng: Generator) -> Example:
    sizes = (TensorType((), FLOAT16),) * int(rng.integers(1, 3))
    return Example((_FLAG, *sizes))


@register("still_finite", _product_example)
def still_finite(ok: TensorType, a: TensorType, b: TensorType | None = None) -> Nest:
    """y = ok, and a, or the product a·b, is finite; scalars, a and b not negative."""
    reads = [Read("ok", (), ok), Read("a", (), a)]
    size: Expr = reads[1].value
    if b is not None:
        reads.append(Read("b", (), b))
        size = mul(size, reads[2].value)
    return _map(ok, tuple(reads), select(_finite(size), reads[0].value, 0))


def _state_example(_: Generator) -> Example:
    return Example((_NUMBER, TensorType((), STEPS), _FLAG))


@register("next_loss_scale", _state_example)
def next_loss_scale(s: TensorType, good: TensorType, ok: TensorType) -> Nest:
    """y = s; halved unless ok, not below 1; doubled at the last of the good steps, up to 2^24."""
    reads = (Read("s", (), s), Read("good", (), good), Read("ok", (), ok))
    scale, steps, fine = (read.value for read in reads)
    doubled = minimum(mul(scale, 2.0), GREATEST)
    kept = select(lt(steps, PATIENCE - 1), scale, doubled)
    halved = maximum(mul(scale, 0.5), LEAST)
    return _map(s, reads, select(fine, kept, halved))


@register("next_good_steps", lambda rng: Example(_state_example(rng).operands[1:]))
def next_good_steps(good: TensorType, ok: TensorType) -> Nest:
    """y = the steps since the scale has changed: one more if ok, from 199 or otherwise 0."""
    reads = (Read("good", (), good), Read("ok", (), ok))
    steps, fine = (read.value for read in reads)
    more = select(lt(steps, STEPS.hi), minimum(add(steps, 1), STEPS.hi), 0)
    return _map(good, reads, select(fine, more, 0))
