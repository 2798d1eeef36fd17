"""Weights that are 0 or a power of two, as codes: 0 stands for 0, ±n for ±2^(n − 1)."""

from edgetrain.compiler.expr import (
    Expr,
    add,
    assume,
    clamp,
    eq,
    le,
    lift,
    lt,
    maximum,
    select,
    shift_left,
    shift_right,
    sub,
)
from edgetrain.compiler.types import Float, Int


def twice_times_power(x: Expr, code: Expr) -> Expr:
    """The integer x times twice what `code` stands for, by a shift: so no code needs one less."""
    assert isinstance(code.type, Int)
    size = assume(maximum(code, sub(0, code)), Int(0, max(-code.type.lo, code.type.hi)))
    signed = select(lt(code, 0), sub(0, x), x)
    return select(eq(code, 0), 0, shift_left(signed, size))


def power_of(code: Expr) -> Expr:
    """What `code` stands for, as an integer."""
    return shift_right(twice_times_power(lift(1), code), 1)


def nearest_power(x: Expr, fraction: int, within: Int) -> Expr:
    """Of 0 and ±1, ±2, ±4 … what is nearest to x/2^fraction, as a code `within` a range; x a float
    or an integer.

    A tie goes to the even integer, and of two such to the larger: as floats are rounded, to one
    significant bit.  0 for NaN.
    """
    zero = lift(0, x.type)
    size = select(lt(x, zero), sub(zero, x), x)
    # From one half on, exclusive, and then from three halves of each power.
    code: Expr = lt(_limit(1, fraction, x.type), size)
    for power in range(max(-within.lo, within.hi) - 1):
        code = add(code, le(_limit(3 << power, fraction, x.type), size))
    return clamp(select(lt(x, zero), sub(0, code), code), within)


def _limit(halves: int, fraction: int, kind: Float | Int) -> Expr:
    """So many halves of 2^fraction; as an integer the greatest that is not more for the first of
    them, 1, and the least that is not less for the others."""
    if isinstance(kind, Float):
        return lift(halves * 2.0 ** (fraction - 1), kind)
    doubled = halves << fraction
    return lift(doubled // 2 if halves == 1 else -(-doubled // 2))
