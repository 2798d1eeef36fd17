"""Gradients, rates and updates without floats: integers, powers of two, and roundings."""

from numpy.random import Generator

from edgetrain.compiler.expr import (
    Expr,
    add,
    clamp,
    mul,
    shift_right,
    sub,
)
from edgetrain.compiler.nest import Nest, axes, elementwise
from edgetrain.compiler.ops.random import flat_index, random_bits
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import Int, TensorType

STEP = TensorType((), Int(0, 2**31 - 2))


def rounded_shift(x: Expr, amount: int) -> Expr:
    """x/2^amount rounded to nearest, ties up."""
    return shift_right(add(x, 1 << amount - 1), amount) if amount else x


def _shape(rng: Generator) -> tuple[int, ...]:
    return tuple(int(v) for v in rng.integers(1, 12, int(rng.integers(1, 3))))


def _rescale_example(rng: Generator) -> Example:
    shape, bits = _shape(rng), int(rng.choice([9, 20, 31]))
    x, m = TensorType(shape, Int(-(2**bits), 2**bits - 1)), TensorType(shape[-1:], Int(0, 2**15))
    how = {"shift": int(rng.integers(30)), "within": Int(-500, 500)}
    if rng.random() < 0.5:
        return Example((x, m), how)
    return Example((x,), {**how, "factor": int(rng.integers(1, 2**15))})


@register("rescale", _rescale_example)
def rescale(
    x: TensorType, m: TensorType | None = None, *, factor: int = 1, shift: int, within: Int
) -> Nest:
    """y = x·factor·m[n]/2^shift at index n of the last axis, held `within` a range.

    It is rounded to nearest, ties up.
    """

    def scaled(x: Expr, m: Expr | None = None) -> Expr:
        product = mul(x, factor) if m is None else mul(mul(x, factor), m)
        return clamp(rounded_shift(product, shift), within)

    return elementwise(axes(x.shape), scaled, x=x, m=m)


def _pair(rng: Generator) -> tuple[TensorType, TensorType]:
    shape = _shape(rng)
    return TensorType(shape, Int(-999, 1000)), TensorType(shape, Int(-(2**29), 2**29))


@register("move_fixed", lambda rng: Example(_pair(rng), {"shift": int(rng.integers(1, 20))}))
def move_fixed(v: TensorType, g: TensorType, *, shift: int) -> Nest:
    """y = v + g/2^shift, element by element, held in the range of v.

    The quotient is rounded to nearest, ties up.
    """
    assert isinstance(v.scalar, Int)
    within = v.scalar
    return elementwise(
        axes(v.shape), lambda v, g: clamp(add(v, rounded_shift(g, shift)), within), v=v, g=g
    )


def _stochastic_example(rng: Generator) -> Example:
    how = {"shift": int(rng.integers(1, 20)), "seed": 3, "stream": int(rng.integers(9))}
    return Example((*_pair(rng), STEP), how)


@register("move_fixed_stochastic", _stochastic_example)
def move_fixed_stochastic(
    v: TensorType, g: TensorType, step: TensorType, *, shift: int, seed: int, stream: int
) -> Nest:
    """y = v + g/2^shift as of `move_fixed`, but rounded up or down at random.

    The mean is right; every step, stream and seed has random numbers of its own.  shift: 1 to 32.
    """
    assert isinstance(v.scalar, Int)
    within, dims = v.scalar, axes(v.shape)

    def following(v: Expr, g: Expr, step: Expr) -> Expr:
        part = shift_right(random_bits(seed, stream, step, flat_index(dims)), 32 - shift)
        return clamp(add(v, shift_right(add(g, part), shift)), within)

    return elementwise(dims, following, v=v, g=g, step=step)


@register("momentum_fixed", lambda rng: Example(_pair(rng), {"fade": int(rng.integers(8))}))
def momentum_fixed(m: TensorType, g: TensorType, *, fade: int) -> Nest:
    """y = m − m/2^fade + g, element by element, held in the range of m.

    The quotient is rounded to nearest, ties up.
    """
    assert isinstance(m.scalar, Int)
    within = m.scalar
    return elementwise(
        axes(m.shape), lambda m, g: clamp(add(sub(m, rounded_shift(m, fade)), g), within), m=m, g=g
    )
