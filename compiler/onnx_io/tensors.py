"""What a tensor of a model file can be while it is read: constants and exact activations."""

from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.graph import Value
from edgetrain.compiler.learnable import nearest_power_code, power_codes, powers_of
from edgetrain.compiler.onnx_io.exact import Affine, Chain
from edgetrain.compiler.onnx_io.file import FileNode
from edgetrain.compiler.types import Int


def check_vector(node: FileNode, shape: tuple[int, ...], length: int) -> None:
    """Raise InputError unless a constant of `shape` is one number, or one for each channel."""
    size = prod(shape)
    if size not in (1, length) or (shape and shape[-1] != size):
        raise node.refuse(f"shape {shape} is not one number a channel ({length})")


@dataclass(frozen=True)
class Raw:
    """A constant as the file has it: float32, or integers."""

    array: NDArray[Any]

    def transposed(self, axes: tuple[int, ...]) -> "Raw":
        return Raw(self.array.transpose(axes))

    def fractions(self, node: FileNode, length: int) -> list[Fraction]:
        """One exact number a channel for `node`: a scalar is repeated, any other shape refused."""
        check_vector(node, self.array.shape, length)
        numbers = [Fraction(v) for v in self.array.reshape(-1).tolist()]
        return numbers * length if len(numbers) == 1 else numbers


@dataclass(frozen=True)
class Latent:
    """Where a constant's integers come from: `steps`, the numbers in units of the scale, rounded to
    the nearest of the `levels`, ties to even; `bipolar`: to −1 or, from 0 on, to 1; `powers`: to
    the nearest of 0, ±1, ±2, ±4 …"""

    steps: NDArray[np.float64]
    levels: Int
    bipolar: bool = False
    powers: bool = False

    def transposed(self, axes: tuple[int, ...]) -> "Latent":
        return replace(self, steps=self.steps.transpose(axes))


@dataclass(frozen=True)
class Quantised:
    """A constant that is integers times an exact scale (broadcastable, array of Fraction).

    `latent` is None where the integers are rounded in another way than learning could repeat.
    """

    integers: NDArray[np.int64]
    scale: NDArray[Any]
    latent: Latent | None = None

    def transposed(self, axes: tuple[int, ...]) -> "Quantised":
        latent = None if self.latent is None else self.latent.transposed(axes)
        return Quantised(self.integers.transpose(axes), self.scale.transpose(axes), latent)

    def in_powers(self) -> "Quantised":
        """With the nearest of 0, ±1, ±2, ±4 … for each integer, of what it was rounded from where
        that is known; signs stay as they are."""
        latent, steps = self.latent, self.integers.astype(np.float64)
        levels = Int(min(0, int(self.integers.min())), max(0, int(self.integers.max())))
        if latent is not None:
            levels, steps = latent.levels, steps if latent.bipolar else latent.steps
        codes = power_codes(levels)
        if latent is not None:
            lo, hi = powers_of(np.array([codes.lo, codes.hi])).tolist()
            latent = replace(latent, levels=Int(lo, hi), powers=True)
        return Quantised(powers_of(nearest_power_code(steps, codes)), self.scale, latent)

    def fractions(self, node: FileNode, length: int) -> list[Fraction]:
        """As of `Raw`."""
        check_vector(node, self.integers.shape, length)
        scale = np.broadcast_to(self.scale, self.integers.shape).reshape(-1)
        flat = self.integers.reshape(-1).tolist()
        numbers = [i * s for i, s in zip(flat, scale, strict=True)]
        return numbers * length if len(numbers) == 1 else numbers


@dataclass(frozen=True)
class Linear:
    """What a linear layer could learn from: `scale`, the weights' real step, one an output channel,
    and after a batch norm its factors `gamma`."""

    latent: Latent
    scale: tuple[Fraction, ...]
    gamma: tuple[Fraction, ...] | None = None


@dataclass(frozen=True)
class Activation:
    """Per-sample reals: channel c is chains[c] of the integer N_c.

    N is `source`, or `source`·`weights` (K, N) where a linear layer awaits its quantiser; `linear`
    is None where that layer cannot learn; `powers`: its weights are 0 and powers of two, and
    multiply by shifts.
    """

    source: Value
    chains: tuple[Chain, ...]
    weights: NDArray[np.int64] | None = None
    linear: Linear | None = None
    powers: bool = False

    @property
    def channels(self) -> int:
        return len(self.chains)

    @property
    def range(self) -> Int:
        """The range of the elements of `source`."""
        scalar = self.source.type.scalar
        assert isinstance(scalar, Int)
        return scalar

    def grid(self) -> tuple[list[Fraction], list[Fraction]] | None:
        """(scale, offset) a channel where the reals are scale·source + offset; else None."""
        if self.weights is not None:
            return None
        scales, offsets = [], []
        for chain in self.chains:
            scale, offset = Fraction(1), Fraction(0)
            for step in chain:
                if not (isinstance(step, Affine) and step.v == 1):
                    return None
                scale, offset = scale * step.c, offset * step.c + step.d
            scales.append(scale)
            offsets.append(offset)
        return scales, offsets


@dataclass(frozen=True)
class Codes:
    """The integers of a QuantizeLinear, before a DequantizeLinear gives them their meaning."""

    activation: Activation
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class ClassIndex:
    """The result of an ArgMax: the end of a network."""

    source: Value


@dataclass(frozen=True)
class FloatInput:
    """The model's input, in floats that no quantiser has met yet."""

    features: int


Tensor: TypeAlias = Raw | Quantised | Activation | Codes | ClassIndex | FloatInput
