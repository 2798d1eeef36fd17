"""What every primitive means, in Python's integers and floats alone."""

import math
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction

from edgetrain.compiler.types import Float, Int, Scalar

Number = int | float | Fraction
"""A Fraction is an exact result that is yet to be rounded."""

FLOAT_FORMATS = {16: ("e", 65504.0, 2.0**16), 32: ("f", (2 - 2.0**-23) * 2.0**127, 2.0**128)}


def to_float(value: Number, bits: int) -> float:
    """`value` rounded to an IEEE float of `bits`, ties to even.

    A sum, difference or product of two such floats is rounded correctly although Python rounded it
    to 64 bits before: 53 bits are more than twice 24 and two.
    """
    code, greatest, overflow = FLOAT_FORMATS[bits]
    number = float(value)
    if math.isfinite(number) and abs(number) > greatest:
        # struct refuses what rounds beyond the greatest: halfway to the next power of two and up.
        halfway = (greatest + overflow) / 2
        return math.copysign(greatest if abs(number) < halfway else math.inf, number)
    result: float = struct.unpack(code, struct.pack(code, number))[0]
    return result


def convert(value: Number, kind: Scalar) -> Number:
    """`value` as an element of `kind`; an integer must be in its range."""
    if isinstance(value, Fraction):
        assert isinstance(kind, Float)
        return _nearest(value, kind.bits)
    if isinstance(kind, Float):
        return to_float(value, kind.bits)
    assert isinstance(value, int)
    assert kind.lo <= value <= kind.hi, f"{value} is not within {kind}"
    return value


def _add(a: Number, b: Number) -> Number:
    return a + b


def _multiply(a: Number, b: Number) -> Number:
    # Python's product of an infinity and zero is NaN already.
    return a * b


def _divide(a: Number, b: Number) -> Number:
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    if b != 0 or math.isnan(a) or math.isnan(b):
        return a / b if b != 0 else math.nan
    return math.nan if a == 0 else math.copysign(math.inf, a) * math.copysign(1, b)


def _root(a: float) -> float:
    # Rounding to 64 bits first does no harm: 53 bits are more than twice 24 and two.
    return math.nan if a < 0 else math.sqrt(a)


def _fused(a: float, b: float, c: float) -> Number:
    if not all(map(math.isfinite, (a, b, c))):
        return a * b + c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact == 0:
        # The sign of an exact zero is that of the plain sum, unless the product underflows.
        return a * b + c if a == 0 or b == 0 else 0.0
    return exact


def _nearest(exact: Fraction, bits: int) -> float:
    """Rounded once: scaled to a whole number of the last place, which Python rounds to even."""
    digits, least = {16: (10, -14), 32: (23, -126)}[bits]
    size = abs(exact)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent -= size < Fraction(2) ** exponent
    place = Fraction(2) ** (max(exponent, least) - digits)
    rounded = round(size / place) * place
    value = math.inf if rounded >= FLOAT_FORMATS[bits][2] else float(rounded)
    return math.copysign(value, exact)


def _floor(a: float) -> int:
    if math.isnan(a):
        return 0
    return int(max(-(2.0**24), min(2.0**24, a if math.isinf(a) else math.floor(a))))


PRIMITIVE_MEANINGS: dict[str, Callable[..., Number]] = {
    "add": _add,
    "sub": lambda a, b: a - b,
    "mul": _multiply,
    "min": lambda a, b: b if b < a else a,
    "max": lambda a, b: b if a < b else a,
    "lt": lambda a, b: int(a < b),
    "le": lambda a, b: int(a <= b),
    "eq": lambda a, b: int(a == b),
    "select": lambda condition, a, b: a if condition else b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "shl": lambda a, b: a * 2**b,
    "shr": lambda a, b: a // 2**b,
    "mul_wrap": lambda a, b: a * b % 2**32,
    "popcount": lambda a: bin(a).count("1"),
    "assume": lambda a, lo, hi: a,
    "fma": _fused,
    "div": _divide,
    "sqrt": _root,
    "floor": _floor,
    "float": lambda a: a,
    "widen": lambda a: a,
    "narrow": lambda a: to_float(a, 16),
    "bits": lambda a: struct.unpack("<i", struct.pack("<f", math.nan if math.isnan(a) else a))[0],
    "from_bits": lambda a: struct.unpack("<f", struct.pack("<i", a))[0],
}


def primitive(op: str, arguments: Sequence[Number], kind: Scalar) -> Number:
    """`op` of `arguments`, as an element of its result's type `kind`."""
    return convert(PRIMITIVE_MEANINGS[op](*arguments), kind)


def same(a: Number, b: Number) -> bool:
    """Whether both are the same number: zeros differ by their sign, NaNs do not differ."""
    if isinstance(a, float) and isinstance(b, float):
        if math.isnan(a) or math.isnan(b):
            return math.isnan(a) and math.isnan(b)
        return a == b and math.copysign(1, a) == math.copysign(1, b)
    return isinstance(a, int) and isinstance(b, int) and a == b


def corners(kind: Scalar) -> list[Number]:
    """Numbers of `kind` at which an executor may go wrong."""
    if isinstance(kind, Int):
        powers = [
            sign * 2**bits + by
            for bits in (0, 7, 8, 15, 16, 31, 32, 62, 63)
            for sign in (1, -1)
            for by in (-1, 0, 1)
        ]
        near = [kind.lo, kind.lo + 1, kind.hi - 1, kind.hi, 0]
        return sorted({n for n in powers + near if kind.lo <= n <= kind.hi})
    least, normal, unit = {16: (-24, -14, -10), 32: (-149, -126, -23)}[kind.bits]
    greatest = FLOAT_FORMATS[kind.bits][1]
    sizes = [0.0, 2.0**least, 2.0**normal - 2.0**least, 2.0**normal, 0.1, 1.0, 1 + 2.0**unit, 3.0]
    sizes += [greatest, math.inf]
    rounded = [to_float(size, kind.bits) for size in sizes]
    return [*rounded, *(-size for size in rounded), math.nan]
