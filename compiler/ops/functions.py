"""Elementary functions spelled out in primitives, so that every executor computes the same bits.

Only additions and multiplications, each rounded by itself: no fused operation, which some cores
lack.  The error bounds stand in docs/numeric-contract.md with the command that measures them.
"""

import math
from collections.abc import Callable
from functools import wraps

from edgetrain.compiler.expr import (
    Expr,
    add,
    assume,
    bit_and,
    div,
    float_bits,
    float_from_bits,
    lift,
    lt,
    maximum,
    minimum,
    mul,
    narrow,
    select,
    shift_left,
    shift_right,
    sub,
    to_float,
    widen,
)
from edgetrain.compiler.types import FLOAT16, FLOAT32, Int

_LOG2_E = 1.4426950408889634
# ln 2 in two parts, the first short enough that its product with any exponent is exact.
_LN2_HIGH = 0.693359375
_LN2_LOW = -2.12194440e-4
_ZERO = 256
"""Where the powers of two that `exp` counts, −151 to 129, have their zero."""
_COUNTING = float(3 * 2**22 + _ZERO)
"""Between it and its neighbours lies one."""
_ROOT_HALF = 0x3F3504F3
"""The bits of √½."""
_EXP = (
    5.0000001201e-1,
    1.6666665459e-1,
    4.1665795894e-2,
    8.3334519073e-3,
    1.3981999507e-3,
    1.98756915e-4,
)
_LOG = (
    3.3333331174e-1,
    -2.4999993993e-1,
    2.0000714765e-1,
    -1.6668057665e-1,
    1.4249322787e-1,
    -1.2420140846e-1,
    1.1676998740e-1,
    -1.1514610310e-1,
    7.0376836292e-2,
)
"""Minimax coefficients of the Cephes library (Moshier, 1989): public constants of expf and logf."""


def in_float32(function: Callable[[Expr], Expr]) -> Callable[[Expr], Expr]:
    """`function` of a FLOAT32, also of a FLOAT16: widened before it, narrowed after it."""

    @wraps(function)
    def any_float(x: Expr) -> Expr:
        return narrow(function(widen(x))) if x.type == FLOAT16 else function(x)

    return any_float


def _horner(coefficients: tuple[float, ...], x: Expr) -> Expr:
    """c0 + x·(c1 + x·(c2 + …)), each step two roundings."""
    result: Expr = lift(coefficients[-1], FLOAT32)
    for coefficient in reversed(coefficients[:-1]):
        result = add(mul(result, x), coefficient)
    return result


@in_float32
def exp(x: Expr) -> Expr:
    """eˣ in FLOAT32: 0 below −104, infinity above 89, subnormal results rounded once more."""
    return _exp(minimum(maximum(x, -104.0), 89.0))


@in_float32
def exp_of_negative(x: Expr) -> Expr:
    """eˣ in FLOAT32 for x ≤ 0, as `exp` has it."""
    return _exp(maximum(x, -104.0))


def _exp(held: Expr) -> Expr:
    # The sum has no bits below one: it is rounded to an integer, which its last bits count.
    counted = add(mul(held, _LOG2_E), _COUNTING)
    whole = sub(counted, _COUNTING)
    power = sub(bit_and(maximum(float_bits(counted), 0), 2 * _ZERO - 1), _ZERO)
    rest = sub(sub(held, mul(whole, _LN2_HIGH)), mul(whole, _LN2_LOW))
    # Two factors, because one power of two cannot reach both ends of the range.
    half = shift_right(power, 1)
    other = assume(sub(power, half), Int(-_ZERO // 2, _ZERO // 2))
    value = add(add(mul(_horner(_EXP, rest), mul(rest, rest)), rest), 1.0)
    return mul(mul(value, _power_of_two(half)), _power_of_two(other))


def _power_of_two(exponent: Expr) -> Expr:
    return float_from_bits(shift_left(add(exponent, 127), 23))


@in_float32
def log(x: Expr) -> Expr:
    """ln x in FLOAT32, for normal positive x; infinity and NaN stay what they are."""
    bits = maximum(float_bits(x), 0)
    # The significand in [√½, √2), so that the series is short on both sides of 1.
    shifted = sub(bits, _ROOT_HALF)
    exponent = shift_right(shifted, 23)
    scaled = sub(bits, shift_left(exponent, 23))
    significand = float_from_bits(assume(scaled, Int(_ROOT_HALF, _ROOT_HALF + 2**23 - 1)))
    f = sub(significand, 1.0)
    square = mul(f, f)
    series = mul(mul(_horner(_LOG, f), f), square)
    whole = to_float(exponent)
    series = add(series, mul(whole, _LN2_LOW))
    series = sub(series, mul(square, 0.5))
    value = add(add(f, series), mul(whole, _LN2_HIGH))
    return select(lt(x, math.inf), value, x)


_TANH = (
    -3.33332819422e-1,
    1.33314422036e-1,
    -5.37397155531e-2,
    2.06390887954e-2,
    -5.70498872745e-3,
)


@in_float32
def tanh(x: Expr) -> Expr:
    """tanh x in FLOAT32: a series up to 0.625, beyond it 1 − 2/(exp(2|x|) + 1) with x's sign."""
    size = select(lt(x, 0.0), mul(x, -1.0), x)
    square = mul(x, x)
    near = add(mul(mul(_horner(_TANH, square), square), x), x)
    far = sub(1.0, div(2.0, add(exp(add(size, size)), 1.0)))
    return select(lt(size, 0.625), near, select(lt(x, 0.0), mul(far, -1.0), far))


_QUARTER = (
    1.5707963200,
    -6.459637596e-1,
    7.968991833e-2,
    -4.674143838e-3,
    1.516717036e-4,
)
"""sin(πx/2)/x in powers of x², interpolated at 2,000 Chebyshev nodes of 0 to 1: within 7e-9."""


def quarter_sine(x: Expr) -> Expr:
    """sin(π/2·x) in FLOAT32, for x from −1 to 1."""
    return mul(_horner(_QUARTER, mul(x, x)), x)


@in_float32
def sigmoid(x: Expr) -> Expr:
    """1/(1 + exp(−x)) in FLOAT32."""
    return div(1.0, add(exp(mul(x, -1.0)), 1.0))


@in_float32
def softplus(x: Expr) -> Expr:
    """log(1 + eˣ) in FLOAT32."""
    size = maximum(x, mul(x, -1.0))
    return add(maximum(x, 0.0), log(add(exp_of_negative(mul(size, -1.0)), 1.0)))
