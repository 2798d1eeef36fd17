"""Quantisers of QONNX and of QDQ files, as conditions on exact reals."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.onnx_io.exact import (
    HALF,
    ROUNDING_MODES,
    Affine,
    Chain,
    Condition,
    Surd,
    round_exact,
    rounding_bound,
)
from edgetrain.compiler.onnx_io.file import FileNode
from edgetrain.compiler.onnx_io.reader import only_float, operand
from edgetrain.compiler.onnx_io.tensors import Quantised, Raw

MAX_ACTIVATION_BITS = 8
MAX_CONSTANT_BITS = 32


@dataclass(frozen=True)
class Quantiser:
    """Codes `lowest`, `lowest` + 1, …; the code is at least lowest + 1 + i where `conditions[c][i]`
    holds, and means the real `meaning[c]` of it."""

    lowest: int
    conditions: tuple[tuple[Condition, ...], ...]
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
    width = operand(list(operands), 3)
    if not isinstance(width, Raw) or width.array.size != 1:
        raise node.refuse("its bit width is not one constant number")
    number = Fraction(width.array.reshape(-1)[0].item())
    if number.denominator != 1 or not 1 <= number <= most_bits:
        raise node.refuse(
            f"its bit width is {float(number):g}", f"use a whole number from 1 to {most_bits}"
        )
    bits = int(number)
    signed, narrow = (bool(node.attributes.get(k, d)) for k, d in (("signed", 1), ("narrow", 0)))
    mode = str(node.attributes.get("rounding_mode", "ROUND")).upper()
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
    scales = _positive(node, _parameter(node, operands[1], "scale").fractions(channels))
    zeros = [Fraction(0)] * channels
    if node.op != "BipolarQuant":
        zeros = _parameter(node, operands[2], "zero point").fractions(channels)
    conditions, meaning = [], []
    for s, z in zip(scales, zeros, strict=True):
        bounds = [levels.bound(t) for t in range(levels.lo + 1, levels.hi + 1)]
        conditions.append(tuple(Condition(Surd((b - z) * s), strict=not i) for b, i in bounds))
        line = Affine(2 * s, (-1 - z) * s) if levels.bipolar else Affine(s, -z * s)
        meaning.append((line,))
    return Quantiser(levels.lo, tuple(conditions), tuple(meaning))


def constant(node: FileNode, array: NDArray[np.float32], operands: Sequence[Any]) -> Quantised:
    """The constant `array` as a Quant or BipolarQuant node rounds it."""
    levels = _levels(node, operands, MAX_CONSTANT_BITS)
    scale = _spread(node, operands[1], "scale", array.ndim)
    _positive(node, scale.reshape(-1).tolist())
    zero = np.full((1,) * array.ndim, Fraction(0), object)
    if node.op != "BipolarQuant":
        zero = _spread(node, operands[2], "zero point", array.ndim)
    scales, zeros = (np.broadcast_to(p, array.shape).reshape(-1) for p in (scale, zero))
    integers = [
        _round_constant(value, s, z, levels)
        for value, s, z in zip(array.reshape(-1).tolist(), scales, zeros, strict=True)
    ]
    shifted = [i - z for i, z in zip(integers, zeros, strict=True)]
    if any(number.denominator != 1 for number in shifted):
        raise node.refuse("has a zero point that is not whole", "use whole zero points")
    whole = np.array([int(number) for number in shifted], np.int64).reshape(array.shape)
    return Quantised(whole, scale)


def _round_constant(value: float, scale: Fraction, zero: Fraction, levels: _Levels) -> int:
    approximate = value / float(scale) + float(zero)
    # Far from any tie the float quotient decides; near one, exact arithmetic does.
    near = abs(approximate * 2 - round(approximate * 2)) < 1e-6 * max(1.0, abs(approximate))
    if not near and not levels.bipolar and levels.mode in ("ROUND", "HALF_EVEN"):
        return min(max(round(approximate), levels.lo), levels.hi)
    exact = Fraction(value) / scale + zero
    if levels.bipolar:
        return 1 if exact >= 0 else -1
    return min(max(round_exact(exact, levels.mode), levels.lo), levels.hi)


def _spread(node: FileNode, tensor: Any, what: str, rank: int) -> NDArray[Any]:
    """A parameter as an array of Fractions of `rank` axes, broadcastable to the constant."""
    array = _parameter(node, tensor, what).array
    exact = np.array([Fraction(v.item()) for v in array.reshape(-1)], object)
    if array.size == 1:
        return exact.reshape((1,) * rank)
    if array.ndim > rank:
        raise node.refuse(f"its {what} has more axes than its operand")
    return exact.reshape((1,) * (rank - array.ndim) + array.shape)


def linear_parameters(
    node: FileNode, operands: Sequence[Any], channels: int
) -> tuple[list[Fraction], list[Fraction]]:
    """(scales, zero points) a channel of a QuantizeLinear or DequantizeLinear of activations."""
    _check_blocks(node)
    scale = _parameter(node, operands[1], "scale")
    zero = operand(list(operands), 2)
    if scale.array.size != 1 and node.attributes.get("axis", 1) not in (1, -1):
        raise node.refuse("is not scaled along the features", "use axis 1")
    scales = _positive(node, Raw(only_float(scale.array)).fractions(channels))
    if zero is None:
        return scales, [Fraction(0)] * channels
    return scales, _parameter(node, zero, "zero point").fractions(channels)


def _check_blocks(node: FileNode) -> None:
    if node.attributes.get("block_size", 0):
        raise node.refuse("is scaled in blocks", "scale per tensor or per channel")


def of_quantize_linear(node: FileNode, operands: Sequence[Any], channels: int) -> Quantiser:
    """ONNX: saturate(round_half_even(x / scale) + zero); the zero point enters after rounding."""
    scales, zeros = linear_parameters(node, operands, channels)
    zero = operand(list(operands), 2)
    kind = np.dtype(np.uint8) if zero is None else zero.array.dtype
    if kind not in (np.int8, np.uint8):
        raise node.refuse(f"quantises to {kind}", "use int8 or uint8")
    limits = np.iinfo(kind)
    conditions, meaning = [], []
    for s, z in zip(scales, zeros, strict=True):
        rounded = range(int(limits.min - z) + 1, int(limits.max - z) + 1)
        conditions.append(
            tuple(Condition(Surd((t - HALF) * s), strict=t % 2 != 0) for t in rounded)
        )
        meaning.append((Affine(s, -z * s),))
    return Quantiser(int(limits.min), tuple(conditions), tuple(meaning))


def dequantised_constant(node: FileNode, array: NDArray[Any], operands: Sequence[Any]) -> Quantised:
    """The constant integers `array` with the scale and zero point of a DequantizeLinear."""
    _check_blocks(node)
    if array.dtype.kind not in "iu":
        raise node.refuse("its operand is not of an integer type")
    axis = int(node.attributes.get("axis", 1))
    scale = _along(node, operands[1], "scale", array, axis)
    _positive(node, scale.reshape(-1).tolist())
    zero = operand(list(operands), 2)
    integers = array.astype(np.int64)
    if zero is not None:
        integers = integers - _along(node, zero, "zero point", array, axis).astype(np.int64)
    return Quantised(integers, scale)


def _along(node: FileNode, tensor: Any, what: str, array: NDArray[Any], axis: int) -> NDArray[Any]:
    values = _parameter(node, tensor, what).array
    exact = np.array([Fraction(v.item()) for v in values.reshape(-1)], object)
    shape = [1] * array.ndim
    if values.size > 1:
        if not -array.ndim <= axis < array.ndim or array.shape[axis] != values.size:
            raise node.refuse(f"its {what} does not fit axis {axis}")
        shape[axis] = values.size
    return exact.reshape(shape)
