"""The exact numbers against 200-digit decimals and NumPy's own float32 rounding."""

import decimal
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.oracles import reals
from tests.oracles.rational import Fraction

rationals = st.fractions(max_denominator=10**6).filter(lambda f: abs(f) < 10**9).map(Fraction)
radicands = rationals.map(lambda f: abs(f) + Fraction(1, 7))
numbers = st.builds(reals.surd, rationals, rationals, radicands)


def decimal_of(value: reals.Real) -> decimal.Decimal:
    def ratio(fraction: Fraction) -> decimal.Decimal:
        return decimal.Decimal(int(fraction.numerator)) / decimal.Decimal(int(fraction.denominator))

    with decimal.localcontext(prec=200):
        if not isinstance(value, reals.Surd):
            return ratio(value)
        return ratio(value.rational) + ratio(value.factor) * ratio(value.radicand).sqrt()


def decimal_sign(a: reals.Real, b: reals.Real) -> int:
    with decimal.localcontext(prec=200):
        difference = decimal_of(a) - decimal_of(b)
    # Two spellings of one number may differ in the last digits.
    if abs(difference) < decimal.Decimal("1e-150"):
        return 0
    return 1 if difference > 0 else -1


@given(numbers, numbers)
@example(reals.surd(Fraction(1), Fraction(1), Fraction(2)), Fraction(2414213562373, 10**12))
def test_order_and_sign_agree_with_decimals(a: reals.Real, b: reals.Real) -> None:
    assert reals.sign(a) == decimal_sign(a, Fraction(0))
    assert reals.compare(a, b) == decimal_sign(a, b)
    assert reals.compare(a, a) == 0


def test_equal_numbers_with_different_radicands_compare_equal() -> None:
    a = reals.surd(Fraction(1, 3), Fraction(2), Fraction(3))
    b = reals.surd(Fraction(1, 3), Fraction(1), Fraction(12))
    assert reals.compare(a, b) == 0
    assert reals.compare(a, reals.add(b, Fraction(1, 10**60))) == -1
    assert reals.compare(reals.add(b, Fraction(1, 10**60)), a) == 1


@given(numbers)
@example(Fraction(5, 2))
@example(Fraction(-5, 2))
@example(Fraction(-7, 2))
def test_roundings_agree_with_decimals(value: reals.Real) -> None:
    modes = {
        "FLOOR": decimal.ROUND_FLOOR,
        "CEIL": decimal.ROUND_CEILING,
        "ROUND": decimal.ROUND_HALF_EVEN,
        "HALF_UP": decimal.ROUND_HALF_UP,
        "HALF_DOWN": decimal.ROUND_HALF_DOWN,
        "UP": decimal.ROUND_UP,
        "DOWN": decimal.ROUND_DOWN,
    }
    for mode, rounding in modes.items():
        expected = decimal_of(value).to_integral_value(rounding)
        assert reals.ROUNDING[mode](value) == expected, mode


def test_a_square_radicand_is_a_rational() -> None:
    value = reals.surd(Fraction(1), Fraction(3), Fraction(4, 9))
    assert value == Fraction(3)
    assert reals.times_root(Fraction(3), Fraction(1, 9)) == Fraction(1)


def test_a_second_equal_root_makes_a_rational_part() -> None:
    value = reals.times_root(reals.surd(Fraction(1), Fraction(1), Fraction(2)), Fraction(2))
    assert value == reals.Surd(Fraction(2), Fraction(1), Fraction(2))
    with pytest.raises(ArithmeticError):
        reals.times_root(reals.surd(Fraction(1), Fraction(1), Fraction(2)), Fraction(3))


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1.401298464324817e-45)  # the least subnormal
@example(7.006492321624085e-46)  # half of it: to even, zero
@example(7.006492321624087e-46)
@example(3.4028235677973366e38)  # half an ulp above the largest: infinity
@example(3.4028235677973362e38)
@example(1.0 + 2.0**-24)  # a tie, to even
@example(1.0 + 3 * 2.0**-24)
def test_float32_of_doubles_is_numpys(value: float) -> None:
    with np.errstate(over="ignore", under="ignore"):
        expected = np.float32(value)
    assert reals.to_float32(Fraction(value)) == expected


def test_float32_rounds_once() -> None:
    # Just above a tie by less than a double can hold: rounding through a double would go to even.
    value = 1 + Fraction(1, 2**24) + Fraction(1, 2**90)
    assert np.float32(float(value)) == 1.0
    assert reals.to_float32(value) == np.float32(1 + 2**-23)
    assert reals.to_float32(-value) == -np.float32(1 + 2**-23)


@given(numbers)
def test_float32_is_the_nearest(value: reals.Real) -> None:
    rounded = reals.to_float32(value)
    exact = decimal_of(value)
    error = abs(decimal.Decimal(float(rounded)) - exact)
    for direction in (-math.inf, math.inf):
        neighbour = decimal.Decimal(float(np.nextafter(rounded, np.float32(direction))))
        assert error <= abs(neighbour - exact)
