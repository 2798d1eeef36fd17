"""Steps of weights that learn: learned step size quantisation (LSQ).

S. K. Esser et al., "Learned step size quantization", ICLR 2020.  A weight ŵ = s·round(w/s), held
within the levels −Q_N … Q_P, has by its step s the gradient of equation 3: round(w/s) − w/s within
the levels, −Q_N or Q_P beyond.  It is multiplied by 1/√(K·Q_P), for K weights of a channel's step.

A layer is gain[n]·Σ x[k]·w[k,n] + bias[n] in integers, and the step is in the gain.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import GraphBuilder, Value
from edgetrain.compiler.learnable import MOST_GROWTH, Doubles, Learnable
from edgetrain.compiler.rules.loss_scale import in_type
from edgetrain.compiler.rules.parameter import (
    Chance,
    Parameter,
    QuantisedParameter,
    as_operands,
    product_of,
    times,
)
from edgetrain.compiler.types import FLOAT32

LEAST_GROWTH = 0.125
"""Steps stay between this and MOST_GROWTH of what they are in the model file."""


@dataclass(frozen=True, eq=False)
class Scale(QuantisedParameter):
    """Gains as the steps of weights, which are in the model file `first`, with the gains' signs."""

    first: Doubles

    def inverse(self, b: GraphBuilder, gain: Value) -> Value:
        """What the steps in the model file are of those with these gains."""
        vector, factor = as_operands(b, self.learnable.unit / self.first)
        return b.apply("reciprocal", _held(b, b.apply("dequantise", gain, *vector, scale=factor)))

    def stored(self, b: GraphBuilder, number: Value, chance: Chance | None = None) -> Value:
        growth = _held(b, times(b, number, 1 / self.first))
        return super().stored(b, times(b, growth, self.first), chance)

    def gradients(self, b: GraphBuilder, gradient: Value) -> Sequence[tuple[Parameter, Value]]:
        """None: its weights have it."""
        return []


@dataclass(frozen=True)
class ScaledWeights(QuantisedParameter):
    """Weights of which the `scale` learns.  Latents count in units of the model file's steps."""

    scale: Scale

    def deploy(self, b: GraphBuilder, latent: Value) -> Value:
        if self.learnable.bipolar:
            return super().deploy(b, latent)
        if self.fraction is None:
            steps = in_type(b, latent, FLOAT32)
        else:
            steps = b.apply("dequantise", latent, scale=2.0**-self.fraction)
        inverse = self.scale.inverse(b, b.following(self.scale.latent))
        how = {"factor": 1.0, "within": self.learnable.levels, **self._levels}
        return b.apply("quantise", steps, inverse, **how)

    def gradients(self, b: GraphBuilder, gradient: Value) -> Sequence[tuple[Parameter, Value]]:
        factors = product_of(b, self.straight_through(b, gradient))
        assert factors is not None
        x, d = factors
        inverse = self.scale.inverse(b, self.scale.latent)
        d = b.apply("scale_channels", d, inverse)
        levels = self.learnable.levels
        lo, hi = self.learnable.integers(np.array([levels.lo, levels.hi])).tolist()
        unit = 1.0 if self.fraction is None else 2.0**-self.fraction
        how = {"unit": unit, "lo": lo, "hi": hi, **self._levels}
        slope = b.apply("scale_gradient", x, d, self.latent, self.deployed, inverse, **how)
        share = np.sign(self.scale.first) / sqrt(x.type.size * hi)
        return [(self.scale, times(b, slope, share)), (self, b.apply("outer", x, d))]


def with_scales(b: GraphBuilder, parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """The same, but the gains of whole layers that learn are the steps of their weights.  Raises
    InputError where there are none."""
    found = {p.deployed.name: p for p in parameters if isinstance(p, QuantisedParameter)}
    for name, gains in list(found.items()):
        weights = found.get(f"w{name[1:]}") if name.startswith("g") else None
        if weights is None or weights.deployed.type.shape[1:] != gains.deployed.type.shape:
            continue
        if weights.latent == weights.deployed:
            raise InputError(
                "scales learn where latents are finer than weights", remedy="give --latent int16"
            )
        signs = np.where(b.initial(gains.latent) < 0, -1, 1)
        scale = Scale(*_fields(gains), signs * weights.learnable.unit)
        found |= {name: scale, weights.deployed.name: ScaledWeights(*_fields(weights), scale)}
    if not any(isinstance(parameter, Scale) for parameter in found.values()):
        raise InputError(
            "no scale can learn", remedy="choose a layer's weights and gains, as w0,g0, or all"
        )
    return tuple(found.get(p.deployed.name, p) for p in parameters)


def _fields(p: QuantisedParameter) -> tuple[Value, Value, Learnable, int | None]:
    return p.latent, p.deployed, p.learnable, p.fraction


def _held(b: GraphBuilder, growth: Value) -> Value:
    return b.apply("clip", growth, lo=LEAST_GROWTH, hi=float(MOST_GROWTH))
