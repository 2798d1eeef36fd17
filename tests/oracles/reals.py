"""Exact real numbers: rationals, and rationals plus a rational multiple of one square root.

Batch normalisation divides by a square root, and nothing else in the supported models leaves the
rationals, so `p + r·√w` is enough; every decision (sign, floor, order) is made by comparing
squares.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from operator import index

import numpy as np

from tests.oracles.rational import Fraction

HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Surd:
    """The irrational number `rational + factor·√radicand`; build it with `surd`."""

    rational: Fraction
    factor: Fraction  # not zero
    radicand: Fraction  # positive, and no square of a rational


Real = Fraction | Surd


@lru_cache(maxsize=4096)
def rational_root(value: Fraction) -> Fraction | None:
    """The square root of a non-negative rational, or None where it is irrational."""
    numerator, denominator = math.isqrt(value.numerator), math.isqrt(value.denominator)
    root = Fraction(numerator, denominator)
    return root if root * root == value else None


def surd(rational: Fraction, factor: Fraction, radicand: Fraction) -> Real:
    """`rational + factor·√radicand`, as a `Fraction` where it is one."""
    if factor == 0:
        return rational
    root = rational_root(radicand)
    return Surd(rational, factor, radicand) if root is None else rational + factor * root


def add(value: Real, term: Fraction) -> Real:
    if not isinstance(value, Surd):
        return value + term
    return Surd(value.rational + term, value.factor, value.radicand)


def multiply(value: Real, by: Fraction) -> Real:
    if not isinstance(value, Surd):
        return value * by
    return surd(value.rational * by, value.factor * by, value.radicand)


def times_root(value: Real, radicand: Fraction) -> Real:
    """`value·√radicand`; a sum of two different roots is no `Real` and raises ArithmeticError."""
    if not isinstance(value, Surd):
        return surd(Fraction(0), value, radicand)
    product = surd(Fraction(0), value.factor, value.radicand * radicand)
    if not isinstance(product, Surd):
        return surd(product, value.rational, radicand)
    if value.rational == 0:
        return product
    raise ArithmeticError("a sum of two different square roots")


def _sign(value: Fraction) -> int:
    return (value > 0) - (value < 0)


def sign(value: Real) -> int:
    if not isinstance(value, Surd):
        return _sign(value)
    left, right = _sign(value.rational), _sign(value.factor)
    if left * right >= 0:
        return right
    squares = value.rational**2 - value.factor**2 * value.radicand
    return left * _sign(squares)


def compare(a: Real, b: Real) -> int:
    """-1, 0 or 1 as `a` is below, at or above `b`."""
    if not isinstance(b, Surd):
        return sign(add(a, -b))
    if not isinstance(a, Surd):
        return -compare(b, a)
    left = add(a, -b.rational)  # a − b = left − right, with right a pure root
    right = _sign(b.factor)
    if sign(left) != right:
        return sign(left) or -right
    assert isinstance(left, Surd)
    p, r, w = left.rational, left.factor, left.radicand
    squares = surd(p * p + r * r * w - b.factor**2 * b.radicand, 2 * p * r, w)
    return right * sign(squares)


def floor(value: Real) -> int:
    if not isinstance(value, Surd):
        return index(math.floor(value))
    # (a + b·√w)/d with integers a, b, d > 0, and √w = √(u·t)/t.
    u, t = value.radicand.numerator, value.radicand.denominator
    d = math.lcm(value.rational.denominator, value.factor.denominator)
    a, b = int(value.rational * d), int(value.factor * d)
    root = math.isqrt(b * b * u * t)
    return index((a * t + (root if b > 0 else -root - 1)) // (d * t))


def ceil(value: Real) -> int:
    return -floor(multiply(value, Fraction(-1)))


def half_even(value: Real) -> int:
    return index(round(value)) if not isinstance(value, Surd) else floor(add(value, HALF))


def half_up(value: Real) -> int:
    """Nearest integer, ties away from zero (what QONNX calls HALF_UP)."""
    size = floor(add(multiply(value, Fraction(sign(value))), HALF))
    return size * sign(value)


def half_down(value: Real) -> int:
    """Nearest integer, ties towards zero (what QONNX calls HALF_DOWN)."""
    size = ceil(add(multiply(value, Fraction(sign(value))), -HALF))
    return size * sign(value)


def away(value: Real) -> int:
    return ceil(value) if sign(value) > 0 else floor(value)


def towards_zero(value: Real) -> int:
    return floor(value) if sign(value) > 0 else ceil(value)


ROUNDING: dict[str, Callable[[Real], int]] = {
    "ROUND": half_even,
    "HALF_EVEN": half_even,
    "HALF_UP": half_up,
    "HALF_DOWN": half_down,
    "CEIL": ceil,
    "FLOOR": floor,
    "UP": away,
    "DOWN": towards_zero,
}


def truncated(value: Real, bits: int) -> Fraction:
    """The largest multiple of 2⁻ᵇⁱᵗˢ that is not above `value`."""
    return Fraction(floor(multiply(value, Fraction(1 << bits))), 1 << bits)


def to_float32(value: Real) -> np.float32:
    """The nearest float32, ties to even, with overflow to infinity and subnormals."""
    negative = sign(value) < 0
    size = multiply(value, Fraction(-1)) if negative else value
    # 160 fraction bits see every number that does not round to zero (half of 2⁻¹⁴⁹ is 2⁻¹⁵⁰).
    exponent = floor(multiply(size, Fraction(1 << 160))).bit_length() - 1 - 160
    quantum = max(exponent - 23, -149)
    significand = half_even(multiply(size, Fraction(2) ** -quantum))
    if quantum > 127 or significand << (quantum + 149) >= 1 << (128 + 149):
        result = math.inf
    else:
        result = math.ldexp(significand, quantum)
    return np.float32(-result if negative else result)
