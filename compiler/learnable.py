"""What an importer says of a quantised graph's constants, so that they can learn.

A layer of the graph is v[n] = f[n]·Σ_k x[k]·w[k,n] + b[n], all integers; a real number y[n] of the
model file is u[n]·v[n].  With it come the real sizes of the integers' steps, by which a gradient
finds its way from the integers to the numbers that the model file's author trained.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.graph import Value
from edgetrain.compiler.types import Int

Doubles = NDArray[np.float64]

MOST_GROWTH = 2
"""How many times what they are in the model file gains and steps of weights may become."""


def power_codes(levels: Int) -> Int:
    """The codes of the powers of two among `levels`: 0 stands for 0, ±n for ±2^(n − 1)."""
    return Int(-max(-levels.lo, 0).bit_length(), max(levels.hi, 0).bit_length())


def nearest_power_code(x: Doubles, within: Int) -> NDArray[np.int64]:
    """Of 0, ±1, ±2, ±4 … what is nearest to each x, as a code `within` a range; a tie goes to the
    even integer, and of two such to the larger."""
    size = np.abs(x)
    code = (size > 0.5).astype(np.int64)
    for power in range(max(-within.lo, within.hi) - 1):
        code += size >= 1.5 * 2**power
    return np.where(x < 0, -code, code).clip(within.lo, within.hi)


def powers_of(codes: NDArray[Any]) -> NDArray[np.int64]:
    """What the codes stand for."""
    sizes = 1 << np.maximum(np.abs(codes.astype(np.int64)) - 1, 0)
    powers: NDArray[np.int64] = np.sign(codes) * sizes
    return powers


@dataclass(frozen=True, eq=False)
class Learnable:
    """A constant that can learn: weights `w0`, gains `g0` or biases `b0` of a layer.

    `unit`: what 1 of it is in the model file's own numbers, one number or one an output channel.
    `levels`: the integers that it may become.  `steps` are its numbers before they were rounded to
    the levels, None where no more than the integers is known of it; `bipolar`: rounded to −1 or,
    from 0 on, to 1; `powers`: rounded to the nearest of 0, ±1, ±2, ±4 …, of which it is the code
    (see `power_codes`).  `growth`: how many times its unit its steps may become while it learns.
    """

    name: str
    unit: Doubles
    levels: Int
    steps: Doubles | None = None
    bipolar: bool = False
    powers: bool = False
    growth: int = 1

    def integers(self, array: NDArray[Any]) -> NDArray[Any]:
        """What the elements of `array` stand for."""
        return powers_of(array) if self.powers else array

    def rounded(self, steps: Doubles) -> NDArray[np.int64]:
        """What so many units become."""
        if self.bipolar:
            return np.where(steps < 0, -1, 1)
        if self.powers:
            return nearest_power_code(steps, self.levels)
        return np.rint(steps).clip(self.levels.lo, self.levels.hi).astype(np.int64)

    def part(self, lo: int, hi: int) -> "Learnable":
        """Of the output channels from `lo` up to, but not including, `hi`."""
        unit = self.unit if len(self.unit) == 1 else self.unit[lo:hi]
        steps = None if self.steps is None else self.steps[..., lo:hi]
        return replace(self, unit=unit, steps=steps)


@dataclass(frozen=True, eq=False)
class Quantisation:
    """`learnable` constants; `scales`: the real step of the input's, the layers' and the output's
    integers, one number or one a channel."""

    learnable: dict[Value, Learnable] = field(default_factory=dict)
    scales: dict[Value, Doubles] = field(default_factory=dict)
