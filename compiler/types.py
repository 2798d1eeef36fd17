"""Element types that carry their exact range, and tensor types made of them."""

import re
from dataclasses import dataclass
from typing import TypeAlias

from edgetrain.compiler.errors import InputError

INT64_LO, INT64_HI = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class Int:
    """An integer known to lie in `lo ..= hi`; no node of a program may leave 64 signed bits."""

    lo: int
    hi: int

    def __post_init__(self) -> None:
        if not INT64_LO <= self.lo <= self.hi <= INT64_HI:
            raise InputError(
                f"the integer range {self.lo} to {self.hi} does not fit 64 bits",
                remedy="use fewer bits or a narrower layer",
            )

    @property
    def signed(self) -> bool:
        return self.lo < 0

    @property
    def bits(self) -> int:
        """The least number of bits, two's complement if `signed`, that holds every value."""
        if self.lo < 0:
            return max((-self.lo - 1).bit_length(), max(self.hi, 0).bit_length()) + 1
        return max(self.hi.bit_length(), 1)

    @property
    def name(self) -> str:
        """The smallest QONNX data type that holds the range: `INT2`, `UINT8` …"""
        return f"{'INT' if self.signed else 'UINT'}{self.bits}"

    def holds(self, other: "Int") -> bool:
        return self.lo <= other.lo and other.hi <= self.hi

    def __contains__(self, value: int) -> bool:
        return self.lo <= value <= self.hi

    def __or__(self, other: "Int") -> "Int":
        """The hull of both ranges."""
        return Int(min(self.lo, other.lo), max(self.hi, other.hi))


@dataclass(frozen=True, slots=True, order=True)
class Float:
    """An IEEE 754 binary float of 16 or 32 bits."""

    bits: int

    @property
    def name(self) -> str:
        return f"FLOAT{self.bits}"


Scalar: TypeAlias = Int | Float

FLOAT16 = Float(16)
FLOAT32 = Float(32)
BOOL = Int(0, 1)
INT32 = Int(-(2**31), 2**31 - 1)
UINT32 = Int(0, 2**32 - 1)


@dataclass(frozen=True, slots=True)
class TensorType:
    """`shape` (row-major; `()` is a scalar) and element type."""

    shape: tuple[int, ...]
    scalar: Scalar

    @property
    def size(self) -> int:
        size = 1
        for length in self.shape:
            size *= length
        return size

    def with_scalar(self, scalar: Scalar) -> "TensorType":
        """The same shape of other elements."""
        return TensorType(self.shape, scalar)

    def __str__(self) -> str:
        extent = "×".join(map(str, self.shape)) or "scalar"
        if isinstance(self.scalar, Int):
            return f"{extent} {self.scalar.name}[{self.scalar.lo}..{self.scalar.hi}]"
        return f"{extent} {self.scalar.name}"


def parse_scalar(name: str) -> Scalar:
    """The element type of a QONNX data-type name; raises InputError for any other name."""
    fixed: dict[str, Scalar] = {
        "BINARY": BOOL,
        "BIPOLAR": Int(-1, 1),
        "TERNARY": Int(-1, 1),
        "FLOAT16": FLOAT16,
        "FLOAT32": FLOAT32,
    }
    if name in fixed:
        return fixed[name]
    match = re.fullmatch(r"(U?)INT([1-9][0-9]?)", name)
    if match is None or int(match[2]) > 32:
        raise InputError(f"data type {name!r} is not supported", remedy="use INT1 to UINT32")
    bits = int(match[2])
    return Int(0, 2**bits - 1) if match[1] else Int(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
