"""Choosing the greatest elements of a gradient."""

from math import inf

from numpy.random import Generator

from edgetrain.compiler.expr import (
    Dim,
    Expr,
    add,
    clamp,
    div,
    floor,
    le,
    lift,
    lt,
    maximum,
    mul,
    select,
    sub,
)
from edgetrain.compiler.nest import Nest, Out, Read, elementwise, fold
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import FLOAT32, Int, TensorType

_SCALAR = TensorType((), FLOAT32)


def _along(x: TensorType) -> Dim:
    (size,) = x.shape
    return Dim("n", size)


def _vector(rng: Generator) -> TensorType:
    return TensorType((int(rng.integers(1, 20)),), FLOAT32)


@register("magnitude", lambda rng: Example((_vector(rng),)))
def magnitude(d: TensorType) -> Nest:
    """y[n] = |d[n]|, infinity for NaN; d (N)."""

    def size(d: Expr) -> Expr:
        if isinstance(d.type, Int):
            return maximum(d, sub(0, d))
        positive = select(lt(d, 0.0), mul(d, -1.0), mul(d, 1.0))
        return select(lt(positive, inf), positive, lift(inf, d.type))

    return elementwise((_along(d),), size, d=d)


@register("rank", lambda rng: Example((_vector(rng),) * 2))
def rank(a: TensorType, again: TensorType) -> Nest:
    """y[n] = how many a[m] come before a[n]: the greater ones, and of equals those of lower index;
    a (N) without NaN, given twice."""
    n = _along(a)
    m = Dim("m", n.size)
    this, other = Read("a", (n,), a), Read("again", (m,), again)
    before = select(lt(m, n), le(this.value, other.value), lt(this.value, other.value))
    total = fold("add", before, lift(0), n.size, Int(0, n.size))
    # It is not before itself.
    body = clamp(total.result, Int(0, n.size - 1))
    out = Out("y", ("n",), body.type, body, total)
    return Nest((("n", n.size), ("m", m.size)), (this, other), (out,))


def _keep_example(rng: Generator) -> Example:
    d = _vector(rng)
    (size,) = d.shape
    ranks = TensorType((size,), Int(0, size - 1))
    if rng.random() < 0.5:
        return Example((d, ranks, TensorType((), Int(1, size))))
    return Example((d, ranks), {"most": int(rng.integers(1, size + 1))})


@register("keep", _keep_example)
def keep(
    d: TensorType, ranks: TensorType, count: TensorType | None = None, *, most: int = 0
) -> Nest:
    """y[n] = d[n] where ranks[n] is below the scalar `count`, or where there is none below `most`;
    else 0."""

    def kept(d: Expr, ranks: Expr, *given: Expr) -> Expr:
        first = lt(ranks, *given) if given else lt(ranks, most)
        return select(first, d, lift(0, d.type))

    return elementwise((_along(d),), kept, d=d, ranks=ranks, count=count)


def _share_example(rng: Generator) -> Example:
    size = int(rng.integers(1, 40))
    return Example((_SCALAR, _SCALAR), {"least": 0.125, "most": 0.75, "size": size})


@register("count_share", _share_example)
def count_share(y: TensorType, most_y: TensorType, *, least: float, most: float, size: int) -> Nest:
    """k = size·(least + (most − least)·y/most_y), rounded, from 1 to `size`; 1 for 0/0; scalars."""

    def count(y: Expr, most_y: Expr) -> Expr:
        share = add(mul(div(y, most_y), most - least), least)
        return clamp(floor(add(mul(share, float(size)), 0.5)), Int(1, size))

    return elementwise((), count, y=y, most_y=most_y)


@register("larger", lambda _: Example((_SCALAR, _SCALAR)))
def larger(a: TensorType, b: TensorType) -> Nest:
    """y = a where b is not above it, else b; scalars."""
    return elementwise((), maximum, a=a, b=b)
