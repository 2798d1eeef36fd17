"""Real arithmetic without rounding: per-channel monotone functions, and where they cross a level.

Numbers are rationals, or rationals plus a rational times one square root (a batch norm's).
"""

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import TypeAlias

ROUNDING_MODES = ("ROUND", "HALF_EVEN", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN")
"""QONNX's names; HALF_UP and UP go away from zero, HALF_DOWN and DOWN towards it."""

HALF = Fraction(1, 2)


def rounding_bound(level: int, mode: str) -> tuple[Fraction, bool]:
    """(bound, inclusive) such that u rounds to at least `level` iff u > bound, or equal if
    inclusive."""
    positive = level >= 1
    match mode:
        case "ROUND" | "HALF_EVEN":
            return level - HALF, level % 2 == 0
        case "FLOOR":
            return Fraction(level), True
        case "CEIL":
            return Fraction(level - 1), False
        case "DOWN":
            return Fraction(level if positive else level - 1), positive
        case "UP":
            return Fraction(level - 1 if positive else level), not positive
        case "HALF_UP":
            return level - HALF, positive
        case "HALF_DOWN":
            return level - HALF, not positive
    raise ValueError(f"rounding mode {mode}")


def round_exact(value: Fraction, mode: str) -> int:
    """`value` rounded as QONNX's `mode` says."""
    level = value.numerator // value.denominator
    bound, inclusive = rounding_bound(level + 1, mode)
    return level + 1 if value > bound or (inclusive and value == bound) else level


def rational_root(value: Fraction) -> Fraction | None:
    """The square root of `value` ≥ 0 where it is rational."""
    numerator, denominator = isqrt(value.numerator), isqrt(value.denominator)
    if numerator**2 == value.numerator and denominator**2 == value.denominator:
        return Fraction(numerator, denominator)
    return None


@dataclass(frozen=True, slots=True)
class Surd:
    """e + f·√v with v > 0; f = 0 where the number is rational."""

    e: Fraction
    f: Fraction = Fraction(0)
    v: Fraction = Fraction(1)

    def is_above(self, value: Fraction) -> int:
        """The sign of self − value."""
        rest = value - self.e
        left, right = self.f**2 * self.v, rest**2
        sign_left = (self.f > 0) - (self.f < 0)
        sign_right = (rest > 0) - (rest < 0)
        if sign_left != sign_right:
            return 1 if sign_left > sign_right else -1
        if left == right:
            return 0
        return sign_left if left > right else -sign_left


@dataclass(frozen=True, slots=True)
class Condition:
    """x ≥ bound (`at_least`) or x ≤ bound; without equality if `strict`."""

    bound: Surd
    at_least: bool = True
    strict: bool = False

    def holds(self, x: Fraction) -> bool:
        above = self.bound.is_above(x)
        if above == 0:
            return not self.strict
        return (above < 0) == self.at_least


class NotExpressibleError(ValueError):
    """The function leaves the numbers of this module."""


@dataclass(frozen=True, slots=True)
class Affine:
    """y = c·x/√v + d."""

    c: Fraction
    d: Fraction
    v: Fraction = Fraction(1)

    def pull_back(self, condition: Condition) -> Condition | bool:
        """The condition on x that `condition` on y amounts to."""
        if self.c == 0:
            return condition.holds(self.d)
        bound, root = condition.bound, rational_root(self.v)
        shifted = bound.e - self.d
        if root is not None:
            moved = Surd(shifted * root / self.c, bound.f * root / self.c, bound.v)
        elif bound.f == 0:
            moved = Surd(Fraction(0), shifted / self.c, self.v)
        elif bound.v == self.v:
            moved = Surd(bound.f * self.v / self.c, shifted / self.c, self.v)
        else:
            raise NotExpressibleError("two batch norms without a quantiser between them")
        return Condition(moved, condition.at_least == (self.c > 0), condition.strict)


@dataclass(frozen=True, slots=True)
class Clamp:
    """y = x held within lo and hi; None is no limit."""

    lo: Fraction | None
    hi: Fraction | None

    def pull_back(self, condition: Condition) -> Condition | bool:
        near, far = (self.lo, self.hi) if condition.at_least else (self.hi, self.lo)
        if near is not None and condition.holds(near):
            return True
        if far is not None and not condition.holds(far):
            return False
        return condition


@dataclass(frozen=True, slots=True)
class Leaky:
    """y = x, or slope·x where x is negative; slope > 0."""

    slope: Fraction

    def pull_back(self, condition: Condition) -> Condition | bool:
        bound = condition.bound
        if bound.is_above(Fraction(0)) >= 0:
            return condition
        moved = Surd(bound.e / self.slope, bound.f / self.slope, bound.v)
        return Condition(moved, condition.at_least, condition.strict)


Step: TypeAlias = Affine | Clamp | Leaky
Chain: TypeAlias = tuple[Step, ...]


def slope_sign(chain: Chain) -> int:
    """+1 where the chain never falls, −1 where it never rises, 0 where it is constant."""
    sign = 1
    for step in chain:
        if isinstance(step, Affine):
            sign *= (step.c > 0) - (step.c < 0)
    return sign


def first_integer(chain: Chain, condition: Condition, lo: int, hi: int) -> int:
    """The least integer N in `lo ..= hi` for which chain(N) meets `condition`, else hi + 1.

    The chain must not fall, and the condition must be `at_least`.
    """
    pulled: Condition | bool = condition
    for step in reversed(chain):
        if isinstance(pulled, bool):
            break
        pulled = step.pull_back(pulled)
    if isinstance(pulled, bool):
        return lo if pulled else hi + 1
    assert pulled.at_least
    return min(max(_least_integer(pulled), lo), hi + 1)


def _least_integer(condition: Condition) -> int:
    """The least integer that meets an `at_least` condition."""
    bound = condition.bound
    # e + f√v = (x ± √q)/d with integers x, q, d > 0: all is decided by one integer root.
    square = bound.f**2 * bound.v
    d = bound.e.denominator * square.denominator
    x = bound.e.numerator * square.denominator
    q = square.numerator * square.denominator * bound.e.denominator**2
    root = isqrt(q)
    floor = root if bound.f >= 0 else -root - (root * root != q)
    exact = root * root == q
    total = x + floor
    # N·d ≥ total when exact, else N·d > total (the irrational lies strictly above its floor).
    if exact and not condition.strict:
        return -(-total // d)
    return total // d + 1
