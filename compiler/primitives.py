"""The one table of primitives, the operations of a scalar; every printer and executor reads it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.rounding import fused_multiply_add
from edgetrain.compiler.types import BOOL, FLOAT16, FLOAT32, INT32, UINT32, Float, Int, Scalar

Array: TypeAlias = NDArray[Any]

INT24 = Int(-(2**24), 2**24)
"""The integers up to which every one is a FLOAT32."""


@dataclass(frozen=True, slots=True)
class Primitive:
    """One operation of a scalar: its type rule, its NumPy meaning and its texts in C and Verilog.

    `c` is a format string over the arguments' texts; `{w}` in it is the working width (`32`, `64`,
    `f32`, `f16`; in C++ for synthesis `ap<T>`, T being the working type).
    NumPy functions get arrays of the working type and may return any type that holds the result.
    `verilog` is one over signed operands, None where there is no RTL; `{ones}` in it is the sum of
    the first argument's bits.  It takes the width of the wire that it is assigned to, or of its
    widest operand, whichever is more.
    """

    rule: Callable[..., Scalar]
    numpy: Callable[..., Array]
    c: str
    verilog: str | None = None


def _hull(*values: int) -> Int:
    return Int(min(values), max(values))


def _arithmetic(bounds: Callable[[Int, Int], Int]) -> Callable[[Scalar, Scalar], Scalar]:
    """Lift a rule of ranges to both kinds: floats must agree and stay what they are."""

    def rule(a: Scalar, b: Scalar) -> Scalar:
        if isinstance(a, Int) and isinstance(b, Int):
            return bounds(a, b)
        if isinstance(a, Float) and a == b:
            return a
        raise TypeError(f"operands {a} and {b} do not agree")

    return rule


def _compare(a: Scalar, b: Scalar) -> Scalar:
    _select(BOOL, a, b)
    return BOOL


def _select(condition: Scalar, a: Scalar, b: Scalar) -> Scalar:
    if condition != BOOL:
        raise TypeError(f"a condition is {BOOL}, not {condition}")
    return _arithmetic(lambda x, y: x | y)(a, b)


def _bitwise(a: Scalar, b: Scalar) -> Int:
    if not (isinstance(a, Int) and isinstance(b, Int)) or a.lo < 0 or b.lo < 0:
        raise TypeError("bitwise operations are for integers that are never negative")
    return Int(0, (1 << max(a.bits, b.bits)) - 1)


def _and(a: Scalar, b: Scalar) -> Scalar:
    _bitwise(a, b)
    assert isinstance(a, Int)
    assert isinstance(b, Int)
    return Int(0, min(a.hi, b.hi))


def _shift_left(a: Scalar, b: Scalar) -> Scalar:
    if not (isinstance(a, Int) and isinstance(b, Int)) or not 0 <= b.lo <= b.hi < 63:
        raise TypeError("a shift is of an integer by 0 to 62")
    return _hull(*(end << amount for end in (a.lo, a.hi) for amount in (b.lo, b.hi)))


def _shift_right(a: Scalar, b: Scalar) -> Scalar:
    if not (isinstance(a, Int) and isinstance(b, Int)) or not 0 <= b.lo <= b.hi < 63:
        raise TypeError("a shift to the right is of an integer by 0 to 62")
    shifted = [end >> amount for end in (a.lo, a.hi) for amount in (b.lo, b.hi)]
    return _hull(*shifted)


def _popcount(a: Scalar) -> Scalar:
    if not isinstance(a, Int) or a.lo < 0 or a.bits > 32:
        raise TypeError("popcount is for unsigned integers of at most 32 bits")
    return Int(0, a.bits)


def _wrapping(a: Scalar, b: Scalar) -> Scalar:
    if not (isinstance(a, Int) and isinstance(b, Int) and UINT32.holds(a | b)):
        raise TypeError("32-bit arithmetic is for integers from 0 to 2^32 - 1")
    return UINT32


def _assume(a: Scalar, lo: Scalar, hi: Scalar) -> Scalar:
    if not (isinstance(a, Int) and isinstance(lo, Int) and isinstance(hi, Int)):
        raise TypeError("only an integer's range can be assumed")
    return Int(max(a.lo, lo.lo), min(a.hi, hi.hi))


def _divided(a: Scalar, b: Scalar) -> Scalar:
    if isinstance(a, Int) and isinstance(b, Int):
        if a.lo < 0 or b.lo < 1:
            raise TypeError("a quotient is of an integer that is not negative by a positive one")
        return Int(a.lo // b.hi, a.hi // b.lo)
    return _floats(a, b)


def _floats(a: Scalar, b: Scalar) -> Scalar:
    if not isinstance(a, Float) or a != b:
        raise TypeError("operands must be floats of one type")
    return a


def _fused(a: Scalar, b: Scalar, c: Scalar) -> Scalar:
    return _floats(_floats(a, b), c)


def _root(a: Scalar) -> Scalar:
    if a != FLOAT32:
        raise TypeError("a square root is of a FLOAT32")
    return FLOAT32


def _floor(a: Scalar) -> Scalar:
    if a != FLOAT32:
        raise TypeError("floor is of a FLOAT32")
    return INT24


def _to_float(a: Scalar) -> Scalar:
    if not isinstance(a, Int) or not INT24.holds(a):
        raise TypeError("only integers of at most 24 bits become floats, exactly")
    return FLOAT32


def _bits(a: Scalar) -> Scalar:
    if a != FLOAT32:
        raise TypeError("bits are those of a FLOAT32")
    return INT32


def _from_bits(a: Scalar) -> Scalar:
    if not isinstance(a, Int) or not INT32.holds(a):
        raise TypeError("bits of a FLOAT32 are a signed 32-bit integer")
    return FLOAT32


def _widen(a: Scalar) -> Scalar:
    if a != FLOAT16:
        raise TypeError("only a FLOAT16 is widened")
    return FLOAT32


def _narrow(a: Scalar) -> Scalar:
    if a != FLOAT32:
        raise TypeError("only a FLOAT32 is narrowed")
    return FLOAT16


def _bits_of(a: Array) -> Array:
    # Executors differ in the sign and the payload of a NaN that they compute.
    canonical: Array = np.where(np.isnan(a), np.float32(np.nan), a).view(np.int32)
    return canonical


def _floor_of(a: Array) -> Array:
    held = np.clip(np.floor(np.where(np.isnan(a), np.zeros_like(a), a)), INT24.lo, INT24.hi)
    return held.astype(np.int32)


def _divide(a: Array, b: Array) -> Array:
    if a.dtype.kind != "f":
        return np.floor_divide(a, b)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.divide(a, b)


def _root_of(a: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.sqrt(a)


def _flag(ufunc: Callable[..., Any]) -> Callable[..., Array]:
    """Comparisons give 0 or 1, not booleans, whose sum would be a logical or."""

    def compare(a: Array, b: Array) -> Array:
        result: Array = np.asarray(ufunc(a, b)).view(np.uint8)
        return result

    return compare


def _maximum(a: Array, b: Array) -> Array:
    # A select, because NumPy's maximum and C's conditional disagree about NaN and -0.
    return np.where(a < b, b, a)


def _minimum(a: Array, b: Array) -> Array:
    return np.where(b < a, b, a)


def _where(condition: Array, a: Array, b: Array) -> Array:
    chosen: Array = np.where(condition.astype(bool), a, b)
    return chosen


PRIMITIVES: dict[str, Primitive] = {
    "add": Primitive(
        _arithmetic(lambda a, b: Int(a.lo + b.lo, a.hi + b.hi)), np.add, "({0} + {1})", "{0} + {1}"
    ),
    "sub": Primitive(
        _arithmetic(lambda a, b: Int(a.lo - b.hi, a.hi - b.lo)),
        np.subtract,
        "({0} - {1})",
        "{0} - {1}",
    ),
    "mul": Primitive(
        _arithmetic(lambda a, b: _hull(a.lo * b.lo, a.lo * b.hi, a.hi * b.lo, a.hi * b.hi)),
        np.multiply,
        "({0} * {1})",
        "{0} * {1}",
    ),
    "min": Primitive(
        _arithmetic(lambda a, b: Int(min(a.lo, b.lo), min(a.hi, b.hi))),
        _minimum,
        "et_min_{w}({0}, {1})",
        "({1} < {0}) ? {1} : {0}",
    ),
    "max": Primitive(
        _arithmetic(lambda a, b: Int(max(a.lo, b.lo), max(a.hi, b.hi))),
        _maximum,
        "et_max_{w}({0}, {1})",
        "({0} < {1}) ? {1} : {0}",
    ),
    "lt": Primitive(_compare, _flag(np.less), "({0} < {1})", "{0} < {1}"),
    "le": Primitive(_compare, _flag(np.less_equal), "({0} <= {1})", "{0} <= {1}"),
    "eq": Primitive(_compare, _flag(np.equal), "({0} == {1})", "{0} == {1}"),
    "select": Primitive(_select, _where, "({0} ? {1} : {2})", "({0} != 0) ? {1} : {2}"),
    # Signed operands in C would need casts for -Wsign-conversion; the helpers hold them.
    "and": Primitive(_and, np.bitwise_and, "et_and_{w}({0}, {1})", "{0} & {1}"),
    "or": Primitive(_bitwise, np.bitwise_or, "et_or_{w}({0}, {1})", "{0} | {1}"),
    "xor": Primitive(_bitwise, np.bitwise_xor, "et_xor_{w}({0}, {1})", "{0} ^ {1}"),
    "shl": Primitive(_shift_left, np.left_shift, "et_shl_{w}({0}, {1})", "{0} <<< {1}"),
    # Towards minus infinity; C leaves >> of a negative number to the compiler, hence the helper.
    "shr": Primitive(_shift_right, np.right_shift, "et_shr_{w}({0}, {1})", "{0} >>> {1}"),
    "popcount": Primitive(_popcount, np.bitwise_count, "et_popcount_{w}({0})", "{ones}"),
    # The product modulo 2^32.
    "mul_wrap": Primitive(_wrapping, np.multiply, "et_mul_wrap_{w}({0}, {1})", "{0} * {1}"),
    "fma": Primitive(_fused, fused_multiply_add, "et_fma_{w}({0}, {1}, {2})"),
    # Of integers, of which neither is negative, the whole quotient.
    "div": Primitive(_divided, _divide, "({0} / {1})", "{0} / {1}"),
    "sqrt": Primitive(_root, _root_of, "et_sqrt_{w}({0})"),
    # The greatest integer ≤ {0}, held within ±2^24; 0 for NaN.
    "floor": Primitive(_floor, _floor_of, "et_floor_{w}({0})"),
    "float": Primitive(_to_float, lambda a: a, "{0}"),
    # Those of every NaN are 0x7FC00000.
    "bits": Primitive(_bits, _bits_of, "et_bits_{w}({0})"),
    "from_bits": Primitive(_from_bits, lambda a: a.view(np.float32), "et_from_bits_{w}({0})"),
    "widen": Primitive(_widen, lambda a: a.astype(np.float32), "et_widen_f16({0})"),
    # To nearest, ties to even; too large a number becomes infinity.
    "narrow": Primitive(_narrow, lambda a: a.astype(np.float16), "et_narrow_f32({0})"),
    # Its maker vouches that {0} lies in {1} ..= {2}; costs nothing.
    "assume": Primitive(_assume, lambda a, lo, hi: a, "{0}", "{0}"),
}
