"""What an importer says of a quantised graph's constants, so that they can learn.

A layer of the graph is v[n] = f[n]·Σ_k x[k]·w[k,n] + b[n], all integers; a real number y[n] of the
model file is u[n]·v[n].  With it come the real sizes of the integers' steps, by which a gradient
finds its way from the integers to the numbers that the model file's author trained.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.graph import Value
from edgetrain.compiler.types import Int

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Learnable:
    """A constant that can learn: weights `w0`, gains `g0` or biases `b0` of a layer.

    `unit`: what 1 of it is in the model file's own numbers, one number or one an output channel.
    `levels`: the integers that it may become.  `steps` are its numbers before they were rounded to
    the levels, None where no more than the integers is known of it; `bipolar`: rounded to −1 or,
    from 0 on, to 1.
    """

    name: str
    unit: Doubles
    levels: Int
    steps: Doubles | None = None
    bipolar: bool = False

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
