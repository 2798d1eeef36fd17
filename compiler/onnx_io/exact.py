"""Real arithmetic without rounding: per-channel monotone functions, and where they cross a level.

Numbers are rationals, or rationals plus a rational times one square root (a batch norm's).
"""

from bisect import bisect_left
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isqrt, lcm
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
class Cuts:
    """What divides a quantiser's levels: y > unit·m for each m of `multiples`, which ascend; also
    y = unit·m where `inclusive`."""

    unit: Fraction
    multiples: tuple[int, ...]
    inclusive: tuple[bool, ...]


class NotExpressibleError(ValueError):
    """The function leaves the numbers of this module."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The number (e0 + e1·m) + (f0 + f1·m)·√v, for every m alike."""

    e0: Fraction
    e1: Fraction
    f0: Fraction = Fraction(0)
    f1: Fraction = Fraction(0)
    v: Fraction = Fraction(1)

    @property
    def rational(self) -> bool:
        return self.f0 == 0 == self.f1

    def times(self, factor: Fraction) -> "Bound":
        e0, e1, f0, f1 = (n and n * factor for n in (self.e0, self.e1, self.f0, self.f1))
        return Bound(e0, e1, f0, f1, self.v)

    def above(self, x: Fraction, m: int) -> int:
        """The sign of this number − x."""
        return _sign_of_sum(self.e0 + self.e1 * m - x, self.f0 + self.f1 * m, self.v)


def _sign_of_sum(e: Fraction, f: Fraction, v: Fraction) -> int:
    """The sign of e + f·√v."""
    sign_e, sign_f = (e > 0) - (e < 0), (f > 0) - (f < 0)
    if sign_e == sign_f or not sign_f:
        return sign_e
    if not sign_e:
        return sign_f
    left, right = e**2, f**2 * v
    return 0 if left == right else sign_e if left > right else sign_f


@dataclass(frozen=True, slots=True)
class Band:
    """The cuts `first` ..< `last` as conditions on x: beyond `bound`, above it if `rising`, else
    below; or decided whatever x is."""

    cuts: Cuts
    first: int
    last: int
    bound: Bound | bool
    rising: bool = True

    def part(self, first: int, last: int, bound: Bound | bool) -> "Band":
        return Band(self.cuts, first, last, bound, self.rising)

    def reached(self, x: Fraction) -> int:
        """The first cut that x is not beyond; all before it, x is beyond, as the cuts ascend."""
        bound = self.bound
        assert isinstance(bound, Bound)

        def short(i: int) -> bool:
            above = bound.above(x, self.cuts.multiples[i])
            return not self.cuts.inclusive[i] if above == 0 else (above > 0) == self.rising

        if short(self.first):
            return self.first
        return self.first + bisect_left(range(self.first, self.last), True, key=short)


@dataclass(frozen=True, slots=True)
class Affine:
    """y = c·x/√v + d."""

    c: Fraction
    d: Fraction
    v: Fraction = Fraction(1)

    def pull_back(self, band: Band) -> list[Band]:
        """The conditions on x that those of `band` on y amount to."""
        bound = band.bound
        assert isinstance(bound, Bound)
        if self.c == 0:
            middle = band.reached(self.d)
            return [band.part(band.first, middle, True), band.part(middle, band.last, False)]
        bound = replace(bound, e0=bound.e0 - self.d)
        root = rational_root(self.v)
        if root is not None:
            moved = bound.times(root / self.c)
        elif bound.rational or bound.v == self.v:
            # (e + f·√v)·√v = f·v + e·√v
            moved = Bound(bound.f0 * self.v, bound.f1 * self.v, bound.e0, bound.e1, self.v)
            moved = moved.times(1 / self.c)
        else:
            raise NotExpressibleError("two batch norms without a quantiser between them")
        return [Band(band.cuts, band.first, band.last, moved, band.rising == (self.c > 0))]


@dataclass(frozen=True, slots=True)
class Clamp:
    """y = x held within lo and hi; None is no limit."""

    lo: Fraction | None
    hi: Fraction | None

    def pull_back(self, band: Band) -> list[Band]:
        """The conditions on x that those of `band` on y amount to."""
        near, far = (self.lo, self.hi) if band.rising else (self.hi, self.lo)
        always = band.first if near is None else band.reached(near)
        never = band.last if far is None else band.reached(far)
        return [
            band.part(band.first, always, True),
            band.part(always, never, band.bound),
            band.part(never, band.last, False),
        ]


@dataclass(frozen=True, slots=True)
class Leaky:
    """y = x, or slope·x where x is negative; slope > 0."""

    slope: Fraction

    def pull_back(self, band: Band) -> list[Band]:
        """The conditions on x that those of `band` on y amount to."""
        bound = band.bound
        assert isinstance(bound, Bound)

        def turned(i: int) -> bool:
            return (bound.above(Fraction(0), band.cuts.multiples[i]) < 0) != band.rising

        middle = band.first + bisect_left(range(band.first, band.last), True, key=turned)
        bent = bound.times(1 / self.slope)
        below, beyond = (bent, bound) if band.rising else (bound, bent)
        return [band.part(band.first, middle, below), band.part(middle, band.last, beyond)]


Step: TypeAlias = Affine | Clamp | Leaky
Chain: TypeAlias = tuple[Step, ...]


def slope_sign(chain: Chain) -> int:
    """+1 where the chain never falls, −1 where it never rises, 0 where it is constant."""
    sign = 1
    for step in chain:
        if isinstance(step, Affine):
            sign *= (step.c > 0) - (step.c < 0)
    return sign


def first_integers(chain: Chain, cuts: Cuts, lo: int, hi: int) -> list[int]:
    """For each cut, the least integer N in `lo ..= hi` for which chain(N) is beyond it, else
    hi + 1.  The chain must not fall."""
    whole = Band(cuts, 0, len(cuts.multiples), Bound(Fraction(0), cuts.unit))
    pending, decided = [whole], []
    for step in reversed(chain):
        pulled = [
            part for band in pending for part in step.pull_back(band) if part.last > part.first
        ]
        pending = [band for band in pulled if isinstance(band.bound, Bound)]
        decided += [band for band in pulled if not isinstance(band.bound, Bound)]
    found = [hi + 1] * len(cuts.multiples)
    for band in decided:
        if band.bound:
            found[band.first : band.last] = [lo] * (band.last - band.first)
    for band in pending:
        assert band.rising
        least = _least_integers(band)
        found[band.first : band.last] = [min(max(n, lo), hi + 1) for n in least]
    return found


def _least_integers(band: Band) -> list[int]:
    """The least integer beyond each cut of a rising band."""
    bound = band.bound
    assert isinstance(bound, Bound)
    # (x0 + x1·m ± √((y0 + y1·m)²·w)) / d in integers: all is decided by one integer root.
    vn, vd = bound.v.numerator, bound.v.denominator
    parts = (bound.e0, bound.e1, bound.f0, bound.f1)
    common = lcm(*(part.denominator for part in parts))
    x0, x1, y0, y1 = (part.numerator * (common // part.denominator) for part in parts)
    x0, x1, d, w = x0 * vd, x1 * vd, common * vd, vn * vd
    found = []
    cuts = zip(
        band.cuts.multiples[band.first : band.last],
        band.cuts.inclusive[band.first : band.last],
        strict=True,
    )
    for m, inclusive in cuts:
        total, y, exact = x0 + x1 * m, y0 + y1 * m, True
        if y:
            square = y * y * w
            root = isqrt(square)
            exact = root * root == square
            total += root if y > 0 else -root - (not exact)
        # N·d ≥ total when exact, else N·d > total (the irrational lies strictly above its floor).
        found.append(-(-total // d) if exact and inclusive else total // d + 1)
    return found
