"""Products of many integers and one scale, each rounded once to float32."""

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
    bits = product.view(np.int64)
    towards = np.where((error > 0) == (product > 0), 1, -1)
    odd = np.where((error != 0) & (bits & 1 == 0), bits + towards, bits).view(np.float64)
    return np.ldexp(odd, -power).astype(np.float32)


def _split(x: Any) -> tuple[Any, Any]:
    scaled = x * _SPLITTER
    high = scaled - (scaled - x)
    return high, x - high
