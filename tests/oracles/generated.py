"""What every generator of models gives: the file, and the inputs that it is meant for."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

CALIBRATION = 64  # rows of the forward pass that a generator makes while it builds


@dataclass(frozen=True)
class InputRange:
    """Which float32 inputs a model is meant for."""

    features: int
    scale: float
    low: float  # in steps of `scale`
    high: float
    on_grid: bool  # whole steps within the range only

    def sample(self, rows: int, seed: int) -> Floats:
        """Rows on the grid and, where inputs may be anything, halfway, between and far outside."""
        rng = np.random.default_rng(seed)
        shape = (rows, self.features)
        steps = rng.integers(int(self.low), int(self.high) + 1, shape).astype(np.float64)
        if self.low == -1 and self.high == 1 and self.on_grid:  # bipolar
            steps[steps == 0] = 1
        if not self.on_grid:
            kind = rng.integers(0, 8, shape)
            steps = np.where(kind == 0, steps + 0.5, steps)
            steps = np.where(kind == 1, steps + rng.uniform(-1, 1, shape), steps)
            steps = np.where(kind == 2, rng.normal(0, 1e3, shape), steps)
        return (steps * self.scale).astype(np.float32)


@dataclass(frozen=True)
class GeneratedModel:
    """A model file and the inputs that it is meant for; `has_ties` if built to land on them."""

    name: str
    model: onnx.ModelProto
    has_ties: bool
    inputs: InputRange

    def sample(self, rows: int, seed: int = 0) -> Floats:
        return self.inputs.sample(rows, seed)


def widths(rng: np.random.Generator, layers: int) -> list[int]:
    """`layers + 1` widths from 1 to 130, small ones more often."""
    return [int(w) for w in np.floor(np.exp(rng.uniform(0, np.log(131), layers + 1)))]


def float32(value: Any) -> Floats:
    return np.asarray(value, np.float32)
