"""Losses without floats: outputs are integers in a unit known when the model is compiled, and so
are loss and gradient."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, frexp, log, sqrt
from typing import TYPE_CHECKING, TypeAlias

from numpy.random import Generator

from edgetrain.compiler.expr import (
    Dim,
    Expr,
    add,
    clamp,
    div,
    eq,
    le,
    lift,
    maximum,
    minimum,
    mul,
    select,
    shift_left,
    shift_right,
    sub,
)
from edgetrain.compiler.nest import Nest, Out, Read, elementwise
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import Int, TensorType

if TYPE_CHECKING:
    from edgetrain.compiler.graph import GraphBuilder, Value

LOSS_FRACTION = 12
"""A loss counts 2^-12."""
LOSS_RANGE = Int(0, 2**24)
"""Beyond it a loss is its end."""
ONE = 2**15
"""What 1 is, of exponentials and of probabilities."""
_FRACTION = 15
RATIO_BITS = 16
"""Of what multiplies integers in place of a real number."""
EXP2 = (0.19307217, -0.04642513, 0.006851)
"""2^-f is 1 − f/2 − f(1 − f)·(this polynomial of f) from 0 to 1 within 2.4e-6; minimax."""
LOG2 = (0.43872575, -0.23905827, 0.08213072)
"""log₂(1 + f) is f + f(1 − f)·(this polynomial of f) from 0 to 1 within 1.2e-4; minimax."""
VANISHING = 17
"""2^-17 is less than half of what an exponential counts."""


@dataclass(frozen=True, slots=True)
class FixedLoss:
    """Of one sample: `loss` in units of 2^-LOSS_FRACTION; its `gradient` by the outputs' real
    numbers, of which 1 is the real number `unit`, and which has at most the real length `norm`."""

    loss: "Value"
    gradient: "Value"
    unit: float
    norm: float


FixedBuild: TypeAlias = "Callable[[GraphBuilder, Value, float, Value], FixedLoss]"
"""(builder, outputs, the real number that 1 of them is, label)."""


def ratio(x: float, bits: int) -> tuple[int, int]:
    """(m, s), m a whole number of so many bits: m/2^s is x; s is at least 0."""
    shift = max(0, bits - frexp(x)[1])
    return round(x * 2.0**shift), shift


def held_ratio(factor: float, greatest: int, most: int) -> tuple[int, int, int]:
    """(limit, m, s): from 0 to `greatest`, x·factor, at most `most`, is min(x, limit)·m/2^s."""
    return min(greatest, ceil(most / factor)), *ratio(factor, RATIO_BITS)


def _times(x: Expr, greatest: int, factor: float, most: int) -> Expr:
    """x·factor, of an x from 0 to `greatest`, rounded down; `most` where it is more."""
    limit, m, shift = held_ratio(factor, greatest, most)
    return minimum(shift_right(mul(minimum(x, limit), m), shift), most)


def _polynomial(coefficients: tuple[float, ...], f: Expr) -> Expr:
    """Of f from 0 to 1, in units of 1/ONE, as the result is."""
    *rest, last = (round(c * ONE) for c in coefficients)
    result: Expr = lift(last)
    for coefficient in reversed(rest):
        result = add(shift_right(mul(result, f), _FRACTION), coefficient)
    return result


def _bow(coefficients: tuple[float, ...], f: Expr) -> Expr:
    """f·(1 − f)·(the polynomial of f), f in units of 1/ONE, the result in half of them; rounded."""
    square = shift_right(mul(f, sub(ONE, f)), _FRACTION - 2)
    product = mul(square, _polynomial(coefficients, f))
    return shift_right(add(product, 2**_FRACTION), _FRACTION + 1)


def exp2_of_negative(t: Expr) -> Expr:
    """2^-t in units of 1/ONE; t from 0 on in the same units."""
    f = sub(t, shift_left(shift_right(t, _FRACTION), _FRACTION))
    f = clamp(f, Int(0, ONE - 1))
    twice = clamp(sub(sub(2 * ONE, f), _bow(EXP2, f)), Int(0, 2 * ONE))
    halvings = minimum(shift_right(t, _FRACTION), VANISHING)
    return shift_right(add(shift_right(twice, halvings), 1), 1)


def log2_of(s: Expr) -> Expr:
    """log₂(s/ONE) in units of 1/ONE, below 32; s from ONE on (taken for it if less)."""
    s = maximum(s, ONE)
    assert isinstance(s.type, Int)
    whole: Expr = lift(0)
    for power in range(1, (s.type.hi // ONE).bit_length()):
        whole = add(whole, le(ONE << power, s))
    f = clamp(sub(shift_right(s, whole), ONE), Int(0, ONE - 1))
    result = add(add(shift_left(whole, _FRACTION), f), shift_right(_bow(LOG2, f), 1))
    return clamp(result, Int(0, 32 * ONE))


def _outputs_example(rng: Generator) -> tuple[TensorType, TensorType, float]:
    n = int(rng.integers(2, 20))
    bits = int(rng.choice([4, 14, 23]))
    z = Int(-(2**bits), 2**bits - 1)
    return TensorType((n,), z), TensorType((), z), float(rng.choice([2.0**-9, 0.3, 1e-6]))


def _exponentials_example(rng: Generator) -> Example:
    z, m, unit = _outputs_example(rng)
    return Example((z, m), {"unit": unit})


@register("exp_shifted_fixed", _exponentials_example)
def exp_shifted_fixed(z: TensorType, m: TensorType, *, unit: float) -> Nest:
    """y[n] = exp(unit·(z[n] − m)) in units of 2^-15; m is no less than any z[n]; integers."""
    assert isinstance(z.scalar, Int)
    width = z.scalar.hi - z.scalar.lo

    def exponential(z: Expr, m: Expr) -> Expr:
        below = clamp(sub(m, z), Int(0, width))
        return exp2_of_negative(_times(below, width, unit / log(2) * ONE, VANISHING * ONE))

    return elementwise((Dim("n", z.shape[0]),), exponential, z=z, m=m)


def _sum_example(rng: Generator) -> Example:
    return Example((TensorType((), Int(0, ONE * int(rng.integers(1, 2000)))),))


@register("reciprocal_fixed", _sum_example)
def reciprocal_fixed(s: TensorType) -> Nest:
    """y = ⌊2^30/s⌋, s a scalar from 2^15 on (taken for it if less)."""
    return elementwise((), lambda s: div(2**30, maximum(s, ONE)), s=s)


def _residual_example(rng: Generator) -> Example:
    n = int(rng.integers(2, 20))
    kinds = (TensorType((n,), Int(0, ONE)), TensorType((), Int(0, ONE)))
    return Example((*kinds, TensorType((), Int(0, n - 1))))


@register("softmax_residual_fixed", _residual_example)
def softmax_residual_fixed(e: TensorType, r: TensorType, label: TensorType) -> Nest:
    """y[n] = e[n]·r − (1 if n = label else 0), all in units of 2^-15, rounded and held in 16 bits.

    r and label are scalars.
    """
    n = Dim("n", e.shape[0])

    def residual(e: Expr, r: Expr, label: Expr) -> Expr:
        p = shift_right(add(mul(e, r), 2 ** (_FRACTION - 1)), _FRACTION)
        wanted = select(eq(n, label), lift(ONE), lift(0))
        return clamp(sub(p, wanted), Int(1 - ONE, ONE - 1))

    return elementwise((n,), residual, e=e, r=r, label=label)


def _loss_example(rng: Generator) -> Example:
    z, m, unit = _outputs_example(rng)
    n = z.shape[0]
    s = TensorType((), Int(0, n * ONE))
    return Example((TensorType((), Int(0, n - 1)), z, m, s), {"unit": unit})


@register("cross_entropy_fixed", _loss_example)
def cross_entropy_fixed(
    label: TensorType, z: TensorType, m: TensorType, s: TensorType, *, unit: float
) -> Nest:
    """y = log(s/2^15) + unit·(m − z[label]) in units of 2^-12, at most 2^24 of them.

    m is the greatest z, s the sum of all exp(unit·(z − m)) in units of 2^-15.
    """
    assert isinstance(z.scalar, Int)
    width = z.scalar.hi - z.scalar.lo
    at, greatest, total = Read("label", (), label), Read("m", (), m), Read("s", (), s)
    picked = Read("z", (at.value,), z)
    distance = clamp(sub(greatest.value, picked.value), Int(0, width))
    natural = log(2) * 2.0 ** (LOSS_FRACTION - _FRACTION)
    rest = _times(log2_of(total.value), 32 * ONE, natural, 2**20)
    body = add(_times(distance, width, unit * 2.0**LOSS_FRACTION, LOSS_RANGE.hi), rest)
    body = clamp(body, LOSS_RANGE)
    return Nest((), (at, picked, greatest, total), (Out("y", (), body.type, body),))


def _scaled_example(rng: Generator) -> Example:
    return Example((TensorType((), Int(0, 2 ** int(rng.choice([9, 40])))),), {"factor": 0.37})


@register("scale_fixed", _scaled_example)
def scale_fixed(x: TensorType, *, factor: float) -> Nest:
    """y = x·factor, a whole number, at most 2^24; x a scalar that is not negative."""
    assert isinstance(x.scalar, Int)
    greatest = x.scalar.hi
    return elementwise((), lambda x: _times(x, greatest, factor, LOSS_RANGE.hi), x=x)


def cross_entropy(b: "GraphBuilder", z: "Value", unit: float, label: "Value") -> FixedLoss:
    """−log softmax(unit·z)[label]."""
    m = b.apply("greatest", z, z)
    e = b.apply("exp_shifted_fixed", z, m, unit=unit)
    s = b.apply("sum", e)
    r = b.apply("reciprocal_fixed", s)
    loss = b.apply("cross_entropy_fixed", label, z, m, s, unit=unit)
    gradient = b.apply("softmax_residual_fixed", e, r, label)
    return FixedLoss(loss, gradient, 1 / ONE, sqrt(2))


def hinge(b: "GraphBuilder", z: "Value", unit: float, label: "Value") -> FixedLoss:
    """Σ_{n≠label} max(0, 1 + unit·(z[n] − z[label]))."""
    margin = max(1, round(1 / unit))
    classes = z.type.shape[0]
    active = b.apply("hinge_active", label, z, z, margin=margin)
    gradient = b.apply("hinge_gradient", label, active, b.apply("sum", active))
    violation = b.apply("hinge", label, z, z, margin=margin)
    loss = b.apply("scale_fixed", violation, factor=unit * 2.0**LOSS_FRACTION)
    return FixedLoss(loss, gradient, 1.0, sqrt(classes * (classes - 1)))
