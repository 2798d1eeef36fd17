"""Rational numbers: GMP's, with which the oracles take a third of the time."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # GMP's has no types; it does what Python's own does.
    from fractions import Fraction
else:
    from gmpy2 import mpq as Fraction

__all__ = ["Fraction"]
