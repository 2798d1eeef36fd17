"""What learns: a tensor that the network computes with, and the one that an optimiser moves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgetrain.compiler.graph import Array, GraphBuilder, Value
from edgetrain.compiler.learnable import Doubles, Learnable, powers_of
from edgetrain.compiler.rules.loss_scale import in_type
from edgetrain.compiler.rules.step import step_counter
from edgetrain.compiler.types import FLOAT32, Float, Int, Scalar


@dataclass(frozen=True, slots=True)
class Chance:
    """Random numbers of `seed`, a `stream` of them for each parameter."""

    seed: int
    stream: int


@dataclass(frozen=True)
class Parameter:
    """`latent`, the state that the optimiser moves, and `deployed`, what the network computes with;
    of a float parameter both are one state, and its elements are the real numbers that they are."""

    latent: Value
    deployed: Value

    @property
    def float_type(self) -> Scalar:
        """The type of floats in which its update may be computed."""
        return self.latent.type.scalar

    def number(self, b: GraphBuilder, kind: Scalar) -> Value:
        """The real numbers that the optimiser moves, as floats of type `kind`."""
        return in_type(b, self.latent, kind)

    def numbers(self, latents: Array) -> Array:
        """What `number` makes of such elements."""
        return latents

    def stored(self, b: GraphBuilder, number: Value, chance: Chance | None = None) -> Value:
        """The next value of `latent`, of the real numbers: rounded to nearest, or by chance."""
        if chance is not None:
            numbers = {"seed": chance.seed, "stream": chance.stream}
            number = b.apply("round_stochastic", number, step_counter(b), **numbers)
        return in_type(b, number, self.latent.type.scalar)

    def deploy(self, b: GraphBuilder, latent: Value) -> Value:
        """The next value of `deployed`, of that of `latent`."""
        return latent

    def deploy_number(self, b: GraphBuilder, number: Value) -> Value:
        """What the network would compute with, of real numbers."""
        return in_type(b, number, self.deployed.type.scalar)

    def straight_through(self, b: GraphBuilder, gradient: Value) -> Value:
        """The gradient by the real numbers, of that by `deployed`."""
        return gradient

    def gradients(self, b: GraphBuilder, gradient: Value) -> Sequence[tuple["Parameter", Value]]:
        """Of that by `deployed`: all by real numbers that follow from it, of itself and of others,
        in the order in which these are to be updated."""
        return [(self, self.straight_through(b, gradient))]


@dataclass(frozen=True)
class QuantisedParameter(Parameter):
    """`deployed` are integers; an integer n stands for the real number n·unit.

    `latent` counts in units too, but finer: in steps of 2^-fraction, or in floats where that is
    None.  It stays where it rounds to a level, so that what it learns can always move it; gradients
    go straight through the rounding (Courbariaux et al., "BinaryConnect", 2015).
    """

    learnable: Learnable
    fraction: int | None

    @property
    def float_type(self) -> Scalar:
        return FLOAT32

    def number(self, b: GraphBuilder, kind: Scalar) -> Value:
        unit = self.learnable.unit
        if self.fraction is None:
            return times(b, in_type(b, self.latent, FLOAT32), unit)
        vector, scale = as_operands(b, unit * 2.0**-self.fraction)
        return b.apply("dequantise", self.latent, *vector, scale=scale)

    def numbers(self, latents: Array) -> Array:
        fraction = 0 if self.fraction is None else self.fraction
        return latents * (self.learnable.unit * 2.0**-fraction)

    def stored(self, b: GraphBuilder, number: Value, chance: Chance | None = None) -> Value:
        if self.fraction is not None:
            kind = self.latent.type.scalar
            return self._quantised(b, number, 2.0**self.fraction, kind, chance)
        lo, hi = bounds(self.learnable)
        steps = b.apply("clip", times(b, number, 1 / self.learnable.unit), lo=lo, hi=hi)
        return super().stored(b, steps, chance)

    def deploy(self, b: GraphBuilder, latent: Value) -> Value:
        if self.latent == self.deployed:
            return latent
        if self.learnable.bipolar:
            return b.apply("sign", latent)
        within = self.learnable.levels
        if self.fraction is None:
            return b.apply("quantise", latent, factor=1.0, within=within, **self._levels)
        return b.apply("round_fixed", latent, fraction=self.fraction, within=within, **self._levels)

    def deploy_number(self, b: GraphBuilder, number: Value) -> Value:
        if self.learnable.bipolar:
            return b.apply("sign", number)
        vector, factor = as_operands(b, 1 / self.learnable.unit)
        within = self.learnable.levels
        return b.apply("quantise", number, *vector, factor=factor, within=within, **self._levels)

    @property
    def _levels(self) -> dict[str, Any]:
        """Which of the integers, as an op takes it, where it is not all."""
        return {"powers": True} if self.learnable.powers else {}

    def straight_through(self, b: GraphBuilder, gradient: Value) -> Value:
        # Of x dᵀ it is d that is scaled, before it meets x: a vector instead of a matrix.
        factors, inverse = product_of(b, gradient), 1 / self.learnable.unit
        if factors is not None:
            x, d = factors
            return b.apply("outer", x, times(b, d, inverse))
        return times(b, gradient, inverse)

    def _quantised(
        self, b: GraphBuilder, number: Value, steps: float, within: Scalar, chance: Chance | None
    ) -> Value:
        """Integers that count units/`steps`."""
        vector, factor = as_operands(b, steps / self.learnable.unit)
        how: dict[str, Any] = {"factor": factor, "within": within}
        if chance is None:
            return b.apply("quantise", number, *vector, **how)
        how |= {"seed": chance.seed, "stream": chance.stream}
        return b.apply("quantise_stochastic", number, step_counter(b), *vector, **how)


def product_of(b: GraphBuilder, gradient: Value) -> tuple[Value, Value] | None:
    """x and d, where `gradient` is x dᵀ."""
    maker = next(node for node in reversed(b.nodes) if gradient in node.outputs)
    if maker.op != "outer":
        return None
    x, d = maker.inputs
    return x, d


def bounds(learnable: Learnable) -> tuple[float, float]:
    """The least and the greatest number of units that a latent may count."""
    lo, hi, growth = learnable.levels.lo, learnable.levels.hi, learnable.growth
    if learnable.bipolar:
        return growth * lo, growth * hi
    if learnable.powers:
        lo, hi = powers_of(np.array([lo, hi])).tolist()
        return 1.5 * growth * lo, 1.5 * growth * hi
    return growth * (lo - 0.5), growth * (hi + 0.5)


def as_operands(b: GraphBuilder, factors: Doubles) -> tuple[tuple[Value, ...], float]:
    """`factors` as an op takes them: a vector for the last axis, if they differ, and one number."""
    if len(factors) == 1:
        return (), float(np.float32(factors[0]))
    return (b.constant(factors.astype(np.float32)),), 1.0


def times(b: GraphBuilder, value: Value, factors: Doubles) -> Value:
    """Floats times one number, or one for each index of the last axis."""
    vector, factor = as_operands(b, factors)
    if vector:
        return b.apply("scale_channels", value, *vector)
    return value if factor == 1 else b.apply("scale", value, factor=factor)


def latent_type(kind: str, learnable: Learnable) -> tuple[Scalar, int | None]:
    """The type of latents of a `kind`, int16, int8 or fp16, and their fraction bits, which are None
    for floats.  What has no numbers before rounding is its own latent."""
    if learnable.steps is None:
        return learnable.levels, 0
    if kind == "fp16":
        return Float(16), None
    lo, hi = bounds(learnable)
    most = 2 ** (int(kind.removeprefix("int")) - 1) - 1
    fraction = 0
    while max(-lo, hi) * 2 ** (fraction + 1) <= most:
        fraction += 1
    if fraction == 0 and not (learnable.bipolar or learnable.powers):
        return learnable.levels, 0
    return Int(int(lo * 2**fraction), int(hi * 2**fraction)), fraction


def initial_latent(array: Any, learnable: Learnable, fraction: int | None) -> Any:
    """The numbers `learnable.steps` as latents, each where it rounds to its element of `array`."""
    assert learnable.steps is not None
    lo, hi = bounds(learnable)
    before, after = _edges(array, learnable)
    if fraction is None:
        # So far from where the next level begins that the latents' own rounding does not matter.
        spacing = 2.0**-10 * np.maximum(1, np.abs(learnable.integers(array)))
        before, after = before + spacing, after - spacing
    else:
        before, after = np.floor(before * 2.0**fraction) + 1, np.ceil(after * 2.0**fraction) - 1
        lo, hi = lo * 2**fraction, hi * 2**fraction
    lowest = np.where(array == learnable.levels.lo, lo, before)
    greatest = np.where(array == learnable.levels.hi, hi, after)
    if fraction is None:
        return np.clip(learnable.steps, lowest, greatest).astype(np.float16)
    return np.clip(np.rint(learnable.steps * 2.0**fraction), lowest, greatest).astype(np.int64)


def _edges(array: Any, learnable: Learnable) -> tuple[Any, Any]:
    """Between which numbers each level of `array` is the nearest."""
    if learnable.bipolar:
        return np.minimum(array, 0), np.maximum(array, 0)
    if not learnable.powers:
        return array - 0.5, array + 0.5
    size = np.abs(learnable.integers(array))
    inner = np.where(size > 1, 0.75 * size, size - 0.5)
    outer = np.maximum(1.5 * size, 0.5)
    return np.where(array < 0, -outer, inner), np.where(array < 0, -inner, outer)
