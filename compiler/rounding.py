"""Arithmetic that rounds once where float64 would round twice: by rounding to odd first."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SPLITTER = float(2**27 + 1)
"""Veltkamp's constant for a significand of 53 bits."""

EXACT = 2**53


def scale_to_float32(integers: NDArray[Any], numerator: int, power: int) -> NDArray[np.float32]:
    """integers · numerator / 2^power, rounded once, ties to even.

    Every integer and `numerator` must be below 2^53 in magnitude, and `power` below 900, so that
    float64 neither overflows nor loses bits to underflow.  The exact product is a sum of two
    float64 (Dekker, "A floating-point technique for extending the available precision", 1971); it
    is rounded to odd, after which rounding to a shorter significand is as good as rounding once.
    """
    a, b = integers.astype(np.float64), np.float64(numerator)
    product = a * b
    a_high, a_low = _split(a)
    b_high, b_low = _split(b)
    error = a_high * b_high - product + a_high * b_low + a_low * b_high + a_low * b_low
    return np.ldexp(_to_odd(product, error), -power).astype(np.float32)


def fused_multiply_add(a: NDArray[Any], b: NDArray[Any], c: NDArray[Any]) -> NDArray[Any]:
    """a·b + c of float16 or float32 arrays, rounded once: IEEE 754 fusedMultiplyAdd.

    The product of two float32 is exact in float64; the error of the sum is known exactly (Knuth's
    two-sum), so that the sum can be rounded to odd before it is rounded to its own type.
    """
    product, addend = a.astype(np.float64) * b.astype(np.float64), c.astype(np.float64)
    total = product + addend
    part = total - product
    error = (product - (total - part)) + (addend - part)
    finite = np.isfinite(total)
    return _to_odd(total, np.where(finite, error, 0.0)).astype(np.result_type(a, b, c))


def _to_odd(rounded: NDArray[Any], error: NDArray[Any]) -> NDArray[np.float64]:
    """`rounded` + `error`, the exact number, rounded to odd: inexact results get an odd last bit.

    Rounding that to a significand shorter by two bits or more equals rounding the exact number
    (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
    """
    bits = np.asarray(rounded, np.float64).view(np.int64)
    towards = np.where((error > 0) == (rounded > 0), 1, -1)
    odd = np.where((error != 0) & (bits & 1 == 0), bits + towards, bits)
    return np.asarray(odd, np.int64).view(np.float64)


def _split(x: Any) -> tuple[Any, Any]:
    scaled = x * _SPLITTER
    high = scaled - (scaled - x)
    return high, x - high
