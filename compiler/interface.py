"""What the integers at a program's boundary mean in the model file's own domain."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.rounding import EXACT, scale_to_float32
from edgetrain.compiler.types import Float, Int, TensorType


@dataclass(frozen=True, slots=True)
class InputCode:
    """How a float32 input becomes the device's element.

    `steps`: ascending float32 values; the code is `lowest` + the number of steps ≤ the input, which
    is the input quantiser's rounding and saturation for every float32.  Empty where the model takes
    integers (which then must be whole and in range) or floats, which are rounded to its type.
    """

    type: TensorType
    lowest: int = 0
    steps: tuple[float, ...] = ()

    def encode(self, x: NDArray[Any]) -> NDArray[Any]:
        """Codes of `x` (batch, features); raises InputError for a wrong shape or element."""
        if x.ndim != 2 or x.shape[1] != self.type.size:
            raise InputError(
                f"the input has shape {x.shape}", remedy=f"give (batch, {self.type.size})"
            )
        if x.dtype.kind not in "fiub":
            raise InputError(f"the input has type {x.dtype}", remedy="give float32")
        values = x.astype(np.float32, copy=False)
        if not np.isfinite(values).all():
            raise InputError("the input holds NaN or infinity", remedy="give finite numbers")
        scalar = self.type.scalar
        if isinstance(scalar, Float):
            with np.errstate(over="ignore"):
                rounded = values.astype(storage_dtype(scalar), copy=False)
            if not np.isfinite(rounded).all():
                raise InputError(
                    f"the input is too large for {scalar.name}", remedy="scale it, or use fp32"
                )
            return rounded
        if not self.steps:
            return _whole(values, scalar)
        steps = np.array(self.steps, np.float32)
        if len(steps) <= 16:
            codes = np.zeros(values.shape, np.int16)
            for step in steps:
                codes += values >= step
        else:
            codes = np.searchsorted(steps, values, side="right").astype(np.int16)
        return (codes + self.lowest).astype(storage_dtype(scalar))


def _whole(values: NDArray[Any], scalar: Int) -> NDArray[Any]:
    codes = values.astype(storage_dtype(scalar))
    if not np.array_equal(codes, values) or (
        codes.size and not (int(codes.min()) in scalar and int(codes.max()) in scalar)
    ):
        raise InputError(
            f"the input is not of type {scalar.name}",
            remedy=f"give whole numbers from {scalar.lo} to {scalar.hi}",
        )
    return codes


@dataclass(frozen=True, slots=True)
class OutputCode:
    """How the device's integers become the model file's outputs: value = code · scale + offset.

    `scales` and `offsets` are exact: none where the codes already are the values (floats, class
    indices), one of each for all outputs, or one of each an output.
    """

    type: TensorType
    scales: tuple[Fraction, ...] = ()
    offsets: tuple[Fraction, ...] = ()

    @property
    def comparable(self) -> bool:
        """Whether the greatest code is the greatest value, over all outputs."""
        return len(self.scales) <= 1 and all(s > 0 for s in self.scales)

    def decode(self, codes: NDArray[Any]) -> NDArray[np.float32]:
        """The outputs, correctly rounded to float32 (ties to even)."""
        if not self.scales:
            return codes.astype(np.float32)
        if len(self.scales) == 1:
            return _scaled(codes, self.scales[0], self.offsets[0])
        columns = [
            _scaled(codes[:, i], s, o)
            for i, (s, o) in enumerate(zip(self.scales, self.offsets, strict=True))
        ]
        return np.stack(columns, axis=1)


def _scaled(codes: NDArray[Any], scale: Fraction, offset: Fraction) -> NDArray[np.float32]:
    numerator, power = _dyadic(scale)
    limit = max(abs(int(codes.min(initial=0))), abs(int(codes.max(initial=0))))
    if offset == 0 and power is not None and power < 900 and max(limit, abs(numerator)) < EXACT:
        return scale_to_float32(codes, numerator, power)
    unique, inverse = np.unique(codes, return_inverse=True)
    values = [round_to_float32(int(u) * scale + offset) for u in unique]
    return np.array(values, np.float32)[inverse].reshape(codes.shape)


def _dyadic(value: Fraction) -> tuple[int, int | None]:
    """`value` = numerator / 2^power; power None where the denominator is no power of two."""
    denominator = value.denominator
    if denominator & (denominator - 1):
        return value.numerator, None
    return value.numerator, denominator.bit_length() - 1


def round_to_float32(value: Fraction) -> np.float32:
    """The float32 nearest to `value`, ties to even, infinity on overflow."""
    if value == 0:
        return np.float32(0.0)
    sign, magnitude = (-1, -value) if value < 0 else (1, value)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if magnitude < Fraction(2) ** exponent:
        exponent -= 1
    ulp = Fraction(2) ** (max(exponent, -126) - 23)
    # Python rounds a Fraction to the nearest integer, ties to even.
    mantissa = round(magnitude / ulp)
    rounded = mantissa * ulp
    if rounded >= Fraction(2) ** 128:
        return np.float32(sign * np.inf)
    return np.float32(sign * float(rounded))


def first_float32(bound: Fraction, *, inclusive: bool) -> float:
    """The least float32 above `bound`, or equal to it if `inclusive`; infinity if there is none."""
    nearest = round_to_float32(bound)
    infinity = np.float32(np.inf)
    if nearest == -infinity:
        nearest = np.finfo(np.float32).min

    def beyond(x: np.float32) -> bool:
        if not np.isfinite(x):
            return bool(x > 0)
        exact = Fraction(float(x))
        return exact > bound or (inclusive and exact == bound)

    # Past the greatest float32 lies infinity, of which NumPy warns.
    with np.errstate(over="ignore"):
        while not beyond(nearest):
            nearest = np.nextafter(nearest, infinity)
        while beyond(previous := np.nextafter(nearest, -infinity)) and np.isfinite(previous):
            nearest = previous
    return float(nearest)
