"""Quantisers of QONNX and of QDQ files, as cuts of exact reals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.onnx_io.exact import (
    HALF,
    ROUNDING_MODES,
    Affine,
    Chain,
    Cuts,
    round_exact,
    rounding_bound,
)
from edgetrain.compiler.onnx_io.file import FileNode
from edgetrain.compiler.onnx_io.reader import only_float, operand
from edgetrain.compiler.onnx_io.tensors import Latent, Quantised, Raw
from edgetrain.compiler.types import Int

MAX_ACTIVATION_BITS = 8
MAX_CONSTANT_BITS = 32
_LEVELS = 2**MAX_ACTIVATION_BITS - 1
_OUT = {"scale": 1.0, "bias": 0.0}


@dataclass(frozen=True)
class Quantiser:
    """Codes `lowest`, `lowest` + 1, …; the code is at least lowest + 1 + i beyond cut i of its
    channel in `cuts`, and means the real `meaning[channel]` of it."""

    lowest: int
    cuts: tuple[Cuts, ...]
    meaning: tuple[Chain, ...]


@dataclass(frozen=True)
class _Levels:
    """The integers of a Quant node; `bipolar`: −1 and +1, split at zero."""

    lo: int
    hi: int
    mode: str
    bipolar: bool = False

    def bound(self, level: int) -> tuple[Fraction, bool]:
        return (Fraction(0), True) if self.bipolar else rounding_bound(level, self.mode)


def _levels(node: FileNode, operands: Sequence[Any], most_bits: int) -> _Levels:
    if node.op == "BipolarQuant":
        return _Levels(0, 1, "ROUND", bipolar=True)
    width = operands[3]
    if not isinstance(width, Raw) or width.array.size != 1:
        raise node.refuse("its bit width is not one constant number")
    number = Fraction(width.array.item())
    if number.denominator != 1 or not 1 <= number <= most_bits:
        raise node.refuse(
            f"its bit width is {float(number):g}", f"use a whole number from 1 to {most_bits}"
        )
    bits = int(number)
    signed, narrow = (bool(node.attributes[name]) for name in ("signed", "narrow"))
    mode = node.attributes.get("rounding_mode", "ROUND").upper()
    if mode not in ROUNDING_MODES:
        raise node.refuse("its rounding mode is unknown", f"use {', '.join(ROUNDING_MODES)}")
    if signed and bits == 1:
        return _Levels(0, 1, mode, bipolar=True)
    if signed:
        return _Levels(-(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1, mode)
    if narrow and bits == 1:
        raise node.refuse("has no level but zero", "use more bits or a wide range")
    return _Levels(0, 2**bits - 1 - narrow, mode)


def _positive(node: FileNode, numbers: list[Fraction]) -> list[Fraction]:
    if min(numbers) <= 0:
        raise node.refuse("has a scale that is not positive")
    return numbers


def _parameter(node: FileNode, tensor: Any, what: str) -> Raw:
    if not isinstance(tensor, Raw):
        raise node.refuse(f"its {what} is not constant")
    return tensor


def of_node(node: FileNode, operands: Sequence[Any], channels: int) -> Quantiser:
    """The quantiser of a Quant or BipolarQuant node over `channels` channels."""
    levels = _levels(node, operands, MAX_ACTIVATION_BITS)
    scales = _positive(node, _parameter(node, operands[1], "scale").fractions(node, channels))
    zeros = [Fraction(0)] * channels
    if node.op != "BipolarQuant":
        zeros = _parameter(node, operands[2], "zero point").fractions(node, channels)
    bounds = [levels.bound(level) for level in range(levels.lo + 1, levels.hi + 1)]
    meaning = [
        Affine(2 * s, (-1 - z) * s) if levels.bipolar else Affine(s, -z * s)
        for s, z in zip(scales, zeros, strict=True)
    ]
    cuts = _cuts(scales, zeros, lambda zero: [(bound - zero, i) for bound, i in bounds])
    return Quantiser(levels.lo, cuts, tuple((line,) for line in meaning))


def of_thresholds(node: FileNode, operands: Sequence[Any], channels: int) -> Quantiser:
    """The quantiser of a MultiThreshold node: out_bias + out_scale · how many of a channel's
    thresholds, which ascend, are at most the input."""
    table = _parameter(node, operands[1], "table of thresholds").array
    if table.ndim != 2 or len(table) not in (1, channels) or not 1 <= table.shape[1] <= _LEVELS:
        raise node.refuse(
            f"its table of thresholds has the shape {table.shape}",
            f"give ({channels}, levels), of at most {_LEVELS} levels",
        )
    if not np.isfinite(table).all() or (np.diff(table, axis=1) < 0).any():
        raise node.refuse("its thresholds do not ascend", "sort those of each channel")
    scale, bias = (Fraction(node.attributes.get(f"out_{k}", d)) for k, d in _OUT.items())
    (scale,) = _positive(node, [scale])
    whole = bias / scale
    lowest = int(whole) if whole.denominator == 1 and abs(whole) <= _LEVELS else 0
    cuts = []
    for row in np.broadcast_to(table, (channels, table.shape[1])).tolist():
        unit = lcm(*(Fraction(number).denominator for number in row))
        multiples = tuple(int(Fraction(number) * unit) for number in row)
        cuts.append(Cuts(Fraction(1, unit), multiples, (True,) * len(row)))
    line = Affine(scale, bias - lowest * scale)
    return Quantiser(lowest, tuple(cuts), ((line,),) * channels)


def _cuts(
    scales: list[Fraction],
    zeros: list[Fraction],
    bounds: Callable[[Fraction], list[tuple[Fraction, bool]]],
) -> tuple[Cuts, ...]:
    """The cuts of each channel; `bounds(zero)` are (bound in scales, inclusive)."""
    known: dict[Fraction, tuple[int, tuple[int, ...], tuple[bool, ...]]] = {}
    for zero in set(zeros):
        numbers, inclusive = zip(*bounds(zero), strict=True)
        # A bound is a half minus the zero point.
        parts = 2 * zero.denominator
        known[zero] = (parts, tuple(int(number * parts) for number in numbers), inclusive)
    return tuple(
        Cuts(scale / known[zero][0], *known[zero][1:])
        for scale, zero in zip(scales, zeros, strict=True)
    )


def constant(node: FileNode, array: NDArray[np.float32], operands: Sequence[Any]) -> Quantised:
    """The constant `array` as a Quant or BipolarQuant node rounds it."""
    levels = _levels(node, operands, MAX_CONSTANT_BITS)
    scale = _spread(node, operands[1], "scale", array.shape)
    _positive(node, scale.reshape(-1).tolist())
    zero = np.full((1,) * array.ndim, Fraction(0), object)
    if node.op != "BipolarQuant":
        zero = _spread(node, operands[2], "zero point", array.shape)
    if any(z.denominator != 1 or abs(z) >= 2**MAX_CONSTANT_BITS for z in zero.flat):
        raise node.refuse(
            "has a zero point that is not whole or not within 32 bits", "use whole zero points"
        )
    integers = _round_constant(array, scale, zero, levels)
    return Quantised(integers - zero.astype(np.int64), scale, _latent(array, scale, zero, levels))


def _latent(
    array: NDArray[np.float32], scale: NDArray[Any], zero: NDArray[Any], levels: _Levels
) -> Latent | None:
    steps = array.astype(np.float64) / scale.astype(np.float64)
    if levels.bipolar:
        return Latent(steps, Int(-1, 1), bipolar=True)
    (offset, *more) = set(zero.reshape(-1).tolist())
    if levels.mode not in ("ROUND", "HALF_EVEN") or more:
        return None
    return Latent(steps, Int(int(levels.lo - offset), int(levels.hi - offset)))


def _round_constant(
    array: NDArray[np.float32], scale: NDArray[Any], zero: NDArray[Any], levels: _Levels
) -> NDArray[np.int64]:
    """The integers of `array`, before the zero point is taken off again."""
    approximate = array.astype(np.float64) / scale.astype(np.float64) + zero.astype(np.float64)
    integers = np.clip(np.round(approximate), levels.lo, levels.hi).astype(np.int64)
    # Far from any tie the float quotient decides; near one, exact arithmetic does.
    doubled = approximate * 2
    near = np.abs(doubled - np.round(doubled)) < 1e-6 * np.maximum(1.0, np.abs(approximate))
    if levels.bipolar or levels.mode not in ("ROUND", "HALF_EVEN"):
        near[...] = True
    scales, zeros = (np.broadcast_to(p, array.shape) for p in (scale, zero))
    for index in zip(*np.nonzero(near), strict=True):
        exact = Fraction(array[index].item()) / scales[index] + zeros[index]
        if levels.bipolar:
            integers[index] = 1 if exact >= 0 else -1
        else:
            integers[index] = min(max(round_exact(exact, levels.mode), levels.lo), levels.hi)
    return integers


def _spread(node: FileNode, tensor: Any, what: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """A parameter as an array of Fractions with as many axes as `shape`, to which it broadcasts."""
    array = _parameter(node, tensor, what).array
    own = (1,) * (len(shape) - array.ndim) + array.shape
    if array.size == 1:
        own = (1,) * len(shape)
    if len(own) != len(shape) or any(n not in (1, m) for n, m in zip(own, shape, strict=True)):
        raise node.refuse(
            f"its {what} of shape {array.shape} does not fit {shape}",
            "give one, or one a channel",
        )
    exact = np.empty(array.size, object)
    exact[:] = [Fraction(v) for v in array.reshape(-1).tolist()]
    return exact.reshape(own)


def linear_parameters(
    node: FileNode, operands: Sequence[Any], channels: int, dtype: np.dtype[Any]
) -> tuple[list[Fraction], list[Fraction]]:
    """(scales, zero points) a channel of a QuantizeLinear or DequantizeLinear of activations that
    are `dtype` where they are integers."""
    _check_blocks(node)
    scale = _parameter(node, operands[1], "scale")
    zero = operand(list(operands), 2)
    if scale.array.size != 1 and node.attributes.get("axis", 1) not in (1, -1):
        raise node.refuse("is not scaled along the features", "use axis 1")
    scales = _positive(node, Raw(only_float(node, scale.array)).fractions(node, channels))
    if zero is None:
        return scales, [Fraction(0)] * channels
    _check_zero(node, zero, dtype)
    return scales, zero.fractions(node, channels)


def _check_blocks(node: FileNode) -> None:
    if node.attributes.get("block_size", 0):
        raise node.refuse("is scaled in blocks", "scale per tensor or per channel")


def _check_zero(node: FileNode, zero: Any, dtype: np.dtype[Any]) -> None:
    found = _parameter(node, zero, "zero point").array.dtype
    if found != dtype:
        raise node.refuse(f"its zero point is {found}, not {dtype}", "use one integer type")


def linear_dtype(node: FileNode, operands: Sequence[Any]) -> np.dtype[Any]:
    """The integer type to which a QuantizeLinear quantises."""
    zero = operand(list(operands), 2)
    if zero is None:
        return np.dtype(np.uint8)
    dtype = _parameter(node, zero, "zero point").array.dtype
    if dtype not in (np.int8, np.uint8):
        raise node.refuse(f"quantises to {dtype}", "use int8 or uint8")
    return dtype


def of_quantize_linear(
    node: FileNode, operands: Sequence[Any], channels: int, dtype: np.dtype[Any]
) -> Quantiser:
    """ONNX: saturate(round_half_even(x / scale) + zero); the zero point enters after rounding."""
    scales, zeros = linear_parameters(node, operands, channels, dtype)
    lo, hi = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)

    def bounds(zero: Fraction) -> list[tuple[Fraction, bool]]:
        rounded = range(int(lo - zero) + 1, int(hi - zero) + 1)
        return [(level - HALF, level % 2 == 0) for level in rounded]

    # The bounds count from the zero point already.
    cuts = _cuts(scales, zeros, bounds)
    return Quantiser(
        lo, cuts, tuple((Affine(s, -z * s),) for s, z in zip(scales, zeros, strict=True))
    )


def dequantised_constant(node: FileNode, array: NDArray[Any], operands: Sequence[Any]) -> Quantised:
    """The constant integers `array` with the scale and zero point of a DequantizeLinear."""
    _check_blocks(node)
    if array.dtype not in (np.int8, np.uint8, np.int32):
        raise node.refuse(f"its operand is {array.dtype}", "use int8, uint8 or int32")
    scale = _along(node, operands[1], "scale", array)
    only_float(node, operands[1].array)
    _positive(node, scale.reshape(-1).tolist())
    zero = operand(list(operands), 2)
    integers = array.astype(np.int64)
    if zero is not None:
        _check_zero(node, zero, array.dtype)
        integers = integers - _along(node, zero, "zero point", array).astype(np.int64)
    latent = None
    if array.dtype == np.int8 and (zero is None or not zero.array.any()):
        latent = Latent(integers.astype(np.float64), Int(-128, 127))
    return Quantised(integers, scale, latent)


def _along(node: FileNode, tensor: Any, what: str, array: NDArray[Any]) -> NDArray[Any]:
    """A parameter of a DequantizeLinear as Fractions that broadcast along its axis of `array`."""
    axis = node.attributes.get("axis", 1)
    values = _parameter(node, tensor, what).array
    shape = [1] * array.ndim
    if values.size > 1:
        fits = -array.ndim <= axis < array.ndim and array.shape[axis] == values.size
        if values.ndim != 1 or not fits:
            raise node.refuse(f"its {what} does not fit axis {axis}", "give one a channel")
        shape[axis] = values.size
    exact = np.empty(values.size, object)
    exact[:] = [Fraction(v) for v in values.reshape(-1).tolist()]
    return exact.reshape(shape)
