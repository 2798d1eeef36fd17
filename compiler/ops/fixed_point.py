"""Between integers and the floats that they stand for: a learning network's numbers in few bits."""

from collections.abc import Iterable
from functools import reduce
from typing import TYPE_CHECKING

from numpy.random import Generator

from edgetrain.compiler.expr import (
    Dim,
    Expr,
    add,
    clamp,
    eq,
    floor,
    le,
    lift,
    lt,
    maximum,
    minimum,
    mul,
    select,
    shift_left,
    shift_right,
    sub,
    to_float,
    widen,
)
from edgetrain.compiler.nest import Nest, Out, Read, axes, elementwise
from edgetrain.compiler.ops.powers import nearest_power
from edgetrain.compiler.ops.random import flat_index, random_bits
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import FLOAT16, FLOAT32, Float, Int, TensorType

FEW_LEVELS = 3

if TYPE_CHECKING:
    from edgetrain.compiler.graph import GraphBuilder, Node, Value


def _shape(rng: Generator) -> tuple[int, ...]:
    return tuple(int(v) for v in rng.integers(1, 12, int(rng.integers(1, 3))))


def _odd(x: Expr) -> Expr:
    return eq(sub(x, shift_left(shift_right(x, 1), 1)), 1)


def _count(flags: Iterable[Expr]) -> Expr:
    return reduce(add, flags, lift(0))


def nearest(x: Expr, within: Int) -> Expr:
    """The integer `within` a range of at most 25 bits that is nearest to the FLOAT32 x, ties to
    even; 0, or what is nearest to it, for NaN."""
    if within.lo <= 0 <= within.hi <= within.lo + FEW_LEVELS:
        # So many comparisons are quicker; of a tie the odd integer is left.
        above = [(le if n % 2 else lt)(n + 0.5, x) for n in range(within.hi)]
        below = [(le if n % 2 else lt)(x, -n - 0.5) for n in range(-within.lo)]
        return sub(_count(above), _count(below))
    held = minimum(maximum(x, float(within.lo)), float(within.hi))
    floored = floor(held)
    rest = sub(held, to_float(floored))
    up = select(lt(0.5, rest), 1, select(eq(rest, 0.5), _odd(floored), 0))
    return clamp(add(floored, up), within)


def _unit_example(rng: Generator, kind: Int | Float) -> tuple[TensorType, ...]:
    """A tensor and, as often as not, a number for each of its last axis."""
    shape = _shape(rng)
    units = (TensorType(shape[-1:], FLOAT32),) if rng.random() < 0.5 else ()
    return (TensorType(shape, kind), *units)


def _dequantise_example(rng: Generator) -> Example:
    bits = int(rng.choice([4, 20, 33]))
    return Example(_unit_example(rng, Int(-(2**bits), 2**bits)), {"scale": 0.0123})


def _dequantise_gradient(
    b: "GraphBuilder", node: "Node", d: "Value", _needed: tuple[bool, ...]
) -> "tuple[Value | None, ...]":
    _, *units = node.inputs
    d = b.apply("scale", d, factor=node.attributes["scale"])
    return b.apply("scale_channels", d, *units) if units else d, *(None for _ in units)


@register("dequantise", _dequantise_example, _dequantise_gradient)
def dequantise(x: TensorType, u: TensorType | None = None, *, scale: float) -> Nest:
    """y = x·scale in FLOAT32, times u[n] at index n of the last axis where that is given.

    Of more than 24 bits of x the lowest are lost.
    """
    assert isinstance(x.scalar, Int)
    lost = max(0, max(-x.scalar.lo, x.scalar.hi).bit_length() - 24)

    def value(x: Expr, *units: Expr) -> Expr:
        held = to_float(shift_right(x, lost) if lost else x)
        return _product(held, scale * 2.0**lost, units)

    return elementwise(axes(x.shape), value, x=x, u=u)


def _product(x: Expr, factor: float, more: tuple[Expr, ...]) -> Expr:
    if factor != 1:
        x = mul(x, factor)
    for each in more:
        x = mul(x, each)
    return x


def _channels_example(rng: Generator) -> Example:
    shape = _shape(rng)
    return Example((TensorType(shape, FLOAT32), TensorType(shape[-1:], FLOAT32)))


@register("scale_channels", _channels_example)
def scale_channels(x: TensorType, u: TensorType) -> Nest:
    """y = x·u[n] at index n of the last axis; floats."""
    return elementwise(axes(x.shape), mul, x=x, u=u)


def _float(x: Expr) -> Expr:
    return widen(x) if x.type == FLOAT16 else x


def _quantise_example(rng: Generator) -> Example:
    kind = FLOAT16 if rng.random() < 0.3 else FLOAT32
    operands = _unit_example(rng, kind)
    if rng.random() < 0.3:
        return Example(operands, {"factor": 8.0, "within": Int(-5, 7), "powers": True})
    within = Int(-1, 1) if rng.random() < 0.5 else Int(-(2**15), 2**15 - 1)
    return Example(operands, {"factor": 8.0, "within": within})


@register("quantise", _quantise_example)
def quantise(
    x: TensorType,
    u: TensorType | None = None,
    *,
    factor: float,
    within: Int,
    powers: bool = False,
) -> Nest:
    """y = the integer nearest to x·factor, times u[n] at index n of the last axis where that is
    given; ties to even, held `within` a range of at most 24 bits; with `powers`, the code of the
    nearest power of two (see `nearest_power`)."""

    def value(x: Expr, *units: Expr) -> Expr:
        scaled = _product(_float(x), factor, units)
        return nearest_power(scaled, 0, within) if powers else nearest(scaled, within)

    return elementwise(axes(x.shape), value, x=x, u=u)


def _stochastic_example(rng: Generator) -> Example:
    how = {"factor": 8.0, "within": Int(-100, 100), "seed": 3, "stream": int(rng.integers(9))}
    x, *units = _unit_example(rng, FLOAT32)
    return Example((x, TensorType((), Int(0, 2**31 - 2)), *units), how)


@register("quantise_stochastic", _stochastic_example)
def quantise_stochastic(
    x: TensorType,
    step: TensorType,
    u: TensorType | None = None,
    *,
    factor: float,
    within: Int,
    seed: int,
    stream: int,
) -> Nest:
    """y = one of the two integers around what `quantise` rounds, at random so that the mean is
    that; every step, stream and seed has random numbers of its own.

    The chances are multiples of 2^-24.
    """
    dims = axes(x.shape)

    def value(x: Expr, step: Expr, *units: Expr) -> Expr:
        scaled = _product(_float(x), factor, units)
        held = minimum(maximum(scaled, float(within.lo)), float(within.hi))
        below = floor(held)
        bits = random_bits(seed, stream, step, flat_index(dims))
        chance = mul(to_float(shift_right(bits, 8)), 2.0**-24)
        return clamp(add(below, lt(chance, sub(held, to_float(below)))), within)

    return elementwise(dims, value, x=x, step=step, u=u)


def rounded_fixed(x: Expr, fraction: int, within: Int, *, powers: bool) -> Expr:
    """The integer nearest to x/2^fraction, ties to even, held `within` a range; with `powers`, the
    code of the nearest power of two."""
    if powers:
        return nearest_power(x, fraction, within)
    if fraction and within.hi - within.lo <= FEW_LEVELS:
        # So many comparisons are quicker.
        level: Expr = lift(within.lo)
        for below in range(within.lo, within.hi):
            cut = (2 * below + 1) << (fraction - 1)
            # A tie goes up if what is above is even.
            level = add(level, lt(cut, x) if below % 2 == 0 else le(cut, x))
        return level
    if fraction:
        odd = _odd(shift_right(x, fraction))
        x = shift_right(add(add(x, 2 ** (fraction - 1) - 1), odd), fraction)
    return clamp(x, within)


def _levels_example(rng: Generator) -> Example:
    fraction = int(rng.choice([0, 1, 6, 14]))
    kind, within = Int(-(3 << fraction), 3 << fraction), Int(-1, 1)
    powers = rng.random() < 0.5
    if powers:
        kind, within = Int(-(30 << fraction), 90 << fraction), Int(-4, 7)
    how = {"fraction": fraction, "within": within, "powers": powers}
    return Example((TensorType(_shape(rng), kind),), how)


@register("round_fixed", _levels_example)
def round_fixed(x: TensorType, *, fraction: int, within: Int, powers: bool = False) -> Nest:
    """y = the integer nearest to x/2^fraction, ties to even, held `within` a range, element by
    element; with `powers`, the code of the nearest power of two (see `nearest_power`)."""

    def value(x: Expr) -> Expr:
        return rounded_fixed(x, fraction, within, powers=powers)

    return elementwise(axes(x.shape), value, x=x)


def _step_example(rng: Generator) -> Example:
    k, n = (int(v) for v in rng.integers(1, 20, 2))
    shift = int(rng.integers(1, 9))
    operands = (
        TensorType((k, n), Int(-96, 96)),
        TensorType((k,), Int(0, 3)),
        TensorType((n,), Int(-(2**16), 2**16)),
    )
    if rng.random() < 0.5:
        return Example(operands, {"shift": shift})
    step = TensorType((), Int(0, 2**31 - 2))
    return Example((*operands, step), {"shift": shift, "seed": 3, "stream": int(rng.integers(9))})


@register("step_fixed", _step_example)
def step_fixed(
    v: TensorType,
    x: TensorType,
    q: TensorType,
    step: TensorType | None = None,
    *,
    shift: int,
    seed: int = 0,
    stream: int = 0,
) -> Nest:
    """y[k,n] = v[k,n] + x[k]·q[n]/2^shift, rounded to nearest, or, where `step` is given, at random
    so that the mean is right, and held in the range of v; v where q[n] is 0.  All integers; v
    (K, N), x (K), q (N), step a scalar."""
    assert isinstance(v.scalar, Int)
    k, n = Dim("k", v.shape[0]), Dim("n", v.shape[1])
    reads = [Read("v", (k, n), v), Read("x", (k,), x), Read("q", (n,), q)]
    old, factor, rate = (read.value for read in reads)
    part: Expr = lift(2 ** (shift - 1))
    if step is not None:
        reads.append(Read("step", (), step))
        bits = random_bits(seed, stream, reads[-1].value, flat_index((k, n)))
        part = shift_right(bits, 32 - shift)
    moved = add(old, shift_right(add(mul(factor, rate), part), shift))
    body = select(eq(rate, 0), old, clamp(moved, v.scalar))
    return Nest(
        (("k", k.size), ("n", n.size)), tuple(reads), (Out("y", ("k", "n"), v.scalar, body),)
    )


def _moved_example(rng: Generator) -> Example:
    v, _, q = _step_example(rng).operands[:3]
    how = {"fraction": 6, "within": Int(-1, 1)}
    return Example((q, v, TensorType(v.shape, Int(-1, 1))), how)


@register("round_moved", _moved_example)
def round_moved(
    q: TensorType,
    v: TensorType,
    old: TensorType,
    *,
    fraction: int,
    within: Int,
    powers: bool = False,
) -> Nest:
    """y[…,n] = what `round_fixed` makes of v, but old[…,n] where q[n] is 0; q (N)."""

    def value(q: Expr, v: Expr, old: Expr) -> Expr:
        return select(eq(q, 0), old, rounded_fixed(v, fraction, within, powers=powers))

    return elementwise(axes(v.shape), value, q=q, v=v, old=old)


def _sign_example(rng: Generator) -> Example:
    kind = FLOAT32 if rng.random() < 0.5 else Int(-100, 100)
    return Example((TensorType(_shape(rng), kind),))


@register("sign", _sign_example)
def sign(x: TensorType) -> Nest:
    """y = 1 where x is at least 0, else −1, element by element."""
    zero = lift(0, x.scalar)
    return elementwise(axes(x.shape), lambda x: select(le(zero, x), lift(1), lift(-1)), x=x)


def _clip_example(rng: Generator) -> Example:
    return Example((TensorType(_shape(rng), FLOAT32),), {"lo": -1.5, "hi": 1.5})


@register("clip", _clip_example)
def clip(x: TensorType, *, lo: float, hi: float) -> Nest:
    """y = x held from lo to hi, element by element."""
    return elementwise(axes(x.shape), lambda x: minimum(maximum(x, lo), hi), x=x)
