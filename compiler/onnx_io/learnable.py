"""Quantised files for learning: the same integers, but gains and biases stand beside the weights
instead of being hidden in thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import takewhile
from math import frexp, sqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Value
from edgetrain.compiler.interface import OutputCode
from edgetrain.compiler.learnable import (
    MOST_GROWTH,
    Doubles,
    Learnable,
    Quantisation,
    power_codes,
)
from edgetrain.compiler.onnx_io.exact import (
    Affine,
    Chain,
    Clamp,
    Cuts,
    Leaky,
    first_integers,
    rational_root,
)
from edgetrain.compiler.onnx_io.file import FileNode, ModelFile
from edgetrain.compiler.onnx_io.integers import accumulate
from edgetrain.compiler.onnx_io.quantised import QuantisedReader
from edgetrain.compiler.onnx_io.quantiser import Quantiser
from edgetrain.compiler.onnx_io.tensors import Activation, Linear, Tensor
from edgetrain.compiler.types import Int

Integers: TypeAlias = NDArray[np.int64]

SUM_BITS = 23
"""Of a layer's sums with their fraction bits."""
MOST_FRACTION = 15
"""Bits by which gains and biases are finer than a sum of products."""
LEAST_GAIN_FRACTION = 6
"""Gains of fewer bits do not learn."""
BIASES = Int(-(2**23), 2**23)
"""Every one is a FLOAT32."""
MANY_LEVELS = 16
"""From so many on, a table of thresholds takes more than a multiplication."""
_FAR = 2**29
"""Beyond every sum: where a threshold lies that nothing reaches."""
_SIGNED_WEIGHTS = "quantise weights symmetrically (zero point 0, rounded to nearest)"


@dataclass(frozen=True, slots=True)
class Line:
    """y = unit·v with v = gain·N + bias, for the sum of products N of a channel."""

    gain: int
    bias: int
    unit: Fraction

    @property
    def inverse(self) -> Affine:
        """N of v."""
        return Affine(Fraction(1, self.gain), Fraction(-self.bias, self.gain))


class LearnableReader(QuantisedReader):
    """Reads a file into a graph in which a layer is gain[n]·Σ x[k]·w[k,n] + bias[n].

    `quantisation` says what its constants mean.  To many levels integers are scaled by a multiplier
    of 31 bits and rounded once, half up, as the reference kernels of TFLite do it (Jacob et al.,
    "Quantization and training of neural networks for efficient integer-arithmetic-only inference",
    2018): of exact ties half go another way than the file says, and nothing else that is known.
    With `scales` gains are the steps of weights, in every layer, and its unit that of the weights.
    Raises InputError for a layer that cannot learn.
    """

    def __init__(self, file: ModelFile, *, powers: bool = False, scales: bool = False) -> None:
        super().__init__(file, powers=powers)
        # Its levels lie anywhere: there is no slope to learn by.
        del self.handlers["MultiThreshold"]
        self._scales = scales
        self.quantisation = Quantisation()
        self._layers = 0

    def cut(self, node: FileNode, x: Activation, levels: Quantiser) -> Value:
        """The codes of a quantiser, with thresholds that no learning moves."""
        sums, lines = x.source, [Line(1, 0, _line(chain)[0]) for chain in x.chains]
        if x.weights is not None:
            if x.linear is None:
                raise node.refuse("its layer cannot learn", _SIGNED_WEIGHTS)
            lines = _lines(x, self._fraction(x, x.linear))
            sums = self._layer(x, x.linear, lines)
        self.quantisation.scales[sums] = np.array([float(line.unit) for line in lines])
        if any(isinstance(step, Leaky) for chain in x.chains for step in chain):
            raise node.refuse("a leaky ReLU before it cannot learn", "use a ReLU")
        steps = [_step(meaning) for meaning in levels.meaning]
        if len(levels.cuts[0].multiples) >= MANY_LEVELS and x.weights is not None:
            ratios = [line.unit / step for line, step in zip(lines, steps, strict=True)]
            codes = self._scaled(sums, ratios, levels)
            self.quantisation.scales[codes] = np.array([float(s) for s in steps])
            return codes
        chains = [(line.inverse, *c) for line, c in zip(lines, x.chains, strict=True)]
        limits = map(_limits, chains, levels.cuts, steps)
        table = [
            first_integers(c, cuts, -_FAR, _FAR)
            for c, cuts in zip(chains, levels.cuts, strict=True)
        ]
        codes = self.builder.apply(
            "threshold",
            sums,
            self.builder.constant(np.array(table, np.int64)),
            lowest=levels.lowest,
            limits=tuple(limits),
            slope=tuple(float(line.unit / s) for line, s in zip(lines, steps, strict=True)),
        )
        self.quantisation.scales[codes] = np.array([float(s) for s in steps])
        return codes

    def _scaled(self, sums: Value, ratios: Sequence[Fraction], levels: Quantiser) -> Value:
        """The codes of `levels` by multiplication: zero point + sums·ratio."""
        multipliers, shift = _multipliers(ratios)
        zeros = [_zero(meaning) for meaning in levels.meaning]
        half = np.array([(zero << shift) + (1 << shift - 1) for zero in zeros], np.int64)
        within = Int(levels.lowest, levels.lowest + len(levels.cuts[0].multiples))
        operands = self.builder.constant(multipliers), self.builder.constant(half)
        return self.builder.apply("requantise", sums, *operands, shift=shift, within=within)

    def _linear(
        self, node: FileNode, x: Tensor | None, weights: Tensor | None, alpha: Fraction
    ) -> Activation:
        if isinstance(x, Activation) and (grid := x.grid()) is not None and any(grid[1]):
            x = self._centred(x, *grid)
        return super()._linear(node, x, weights, alpha)

    def _centred(
        self, x: Activation, scales: Sequence[Fraction], offsets: Sequence[Fraction]
    ) -> Activation:
        """The same reals of integers of which 0 is 0, where a zero point is all that is in the
        way."""
        zeros = [offset / scale for scale, offset in zip(scales, offsets, strict=True)]
        if any(zero.denominator != 1 for zero in zeros):
            return x
        moved = self.builder.constant(np.array([int(zero) for zero in zeros], np.int64))
        source = self.builder.apply("add", x.source, moved)
        return Activation(source, tuple((Affine(scale, Fraction(0)),) for scale in scales))

    def end(self, x: Activation) -> tuple[Value, OutputCode]:
        """The sums of a last linear layer, in one unit, or the codes of a quantiser."""
        if x.weights is None and x.source in self.quantisation.scales:
            return super().end(x)
        if x.linear is None or any(len(_until_clamp(chain)) < len(chain) for chain in x.chains):
            raise InputError(
                "the last layer cannot learn",
                remedy=f"end with a plain linear layer, and {_SIGNED_WEIGHTS}",
            )
        lines = _in_one_unit(x, self._fraction(x, x.linear))
        sums = self._layer(x, x.linear, lines)
        self.quantisation.scales[sums] = np.array([float(lines[0].unit)])
        return sums, OutputCode(sums.type, (lines[0].unit,), (Fraction(0),))

    def argmax(self, node: FileNode, operands: list[Tensor | None]) -> Tensor:
        raise node.refuse("leaves nothing of which a loss could be computed", "leave it out")

    def _layer(self, x: Activation, linear: Linear, lines: Sequence[Line]) -> Value:
        """gain·N + bias; as just N where all gains are 1 and no bias is there."""
        number = self._layers
        self._layers += 1
        learnable, builder = self.quantisation.learnable, self.builder
        sums, _ = accumulate(builder, x, anywhere=linear.latent.levels)
        weights = builder.nodes[-1].inputs[1]
        unit, latent = _units(linear.scale), linear.latent
        levels = power_codes(latent.levels) if latent.powers else latent.levels
        learnable[weights] = Learnable(
            f"w{number}",
            unit,
            levels,
            latent.steps,
            latent.bipolar,
            latent.powers,
            MOST_GROWTH if self._scales else 1,
        )
        if _plain(x) and not self._scales:
            return sums
        gains = np.array([line.gain for line in lines], np.int64)
        biases = np.array([line.bias for line in lines], np.int64)
        largest = MOST_GROWTH * int(np.abs(gains).max())
        gain = builder.constant(gains, Int(-largest, largest))
        bias = builder.constant(biases, BIASES)
        learnable[bias] = Learnable(f"b{number}", _units([line.unit for line in lines]), BIASES)
        meant = linear.scale if self._scales else linear.gamma
        if meant is not None and largest >= MOST_GROWTH * 2**LEAST_GAIN_FRACTION:
            # Of a channel that a batch norm makes constant, the gain has no effect.
            pairs = zip(meant, gains.tolist(), strict=True)
            parts = [number / (gain or 1) or Fraction(1) for number, gain in pairs]
            learnable[gain] = Learnable(f"g{number}", _units(parts), Int(-largest, largest))
        return builder.apply("affine", sums, gain, bias)

    def _fraction(self, x: Activation, linear: Linear) -> int:
        """The bits by which a layer's gains and biases are finer than its sums."""
        if _plain(x) and not self._scales:
            return 0
        code, weight = (max(abs(t.lo), abs(t.hi)) for t in (x.range, linear.latent.levels))
        largest = len(linear.latent.steps) * code * weight
        return max(0, min(MOST_FRACTION, SUM_BITS - largest.bit_length()))


def _units(numbers: Sequence[Fraction]) -> Doubles:
    """One number where all are the same."""
    found = set(numbers)
    return np.array([float(abs(number)) for number in (found if len(found) == 1 else numbers)])


def _plain(x: Activation) -> bool:
    """Whether the layer has neither a bias nor gains that differ."""
    (slope, _), *more = {_line(chain) for chain in x.chains}
    return not more and slope > 0 and all(len(_until_clamp(chain)) == 1 for chain in x.chains)


def _lines(x: Activation, fraction: int) -> list[Line]:
    """Each channel's own."""
    lines = []
    for slope, offset in map(_line, x.chains):
        gain = -(2**fraction) if slope < 0 else 2**fraction
        unit = abs(slope) / 2**fraction or Fraction(1)
        lines.append(Line(gain, _held(offset / unit), unit))
    return lines


def _in_one_unit(x: Activation, fraction: int) -> list[Line]:
    """All channels' in one unit, such that their order is that of the reals."""
    known = list(map(_line, x.chains))
    unit = max(abs(slope) for slope, _ in known) / 2**fraction or Fraction(1)
    return [Line(round(slope / unit), _held(offset / unit), unit) for slope, offset in known]


def _held(bias: Fraction) -> int:
    return min(max(round(bias), BIASES.lo), BIASES.hi)


def _until_clamp(chain: Chain) -> tuple[Affine, ...]:
    return tuple(
        s for s in takewhile(lambda s: isinstance(s, Affine), chain) if isinstance(s, Affine)
    )


def _line(chain: Chain) -> tuple[Fraction, Fraction]:
    """(slope, offset) of a chain up to its first bend; an irrational one to 53 bits."""
    slope, offset = Fraction(1), Fraction(0)
    for step in _until_clamp(chain):
        root = rational_root(step.v) or Fraction(sqrt(step.v))
        slope, offset = slope * step.c / root, offset * step.c / root + step.d
    return slope, offset


def _zero(meaning: Chain) -> int:
    """The code that means 0."""
    (line,) = meaning
    assert isinstance(line, Affine)
    return round(-line.d / line.c)


def _multipliers(ratios: Sequence[Fraction]) -> tuple[Integers, int]:
    """(m, shift) with m/2^shift close to each ratio > 0, by 31 significant bits."""
    found = []
    for ratio in ratios:
        # frexp: ratio = fraction·2^exponent with a fraction from ½ to 1.
        fraction, exponent = frexp(float(ratio))
        found.append((round(fraction * 2**31), 31 - exponent))
    shift = max(shift for _, shift in found)
    return np.array([m << shift - own for m, own in found], np.int64), shift


def _step(meaning: Chain) -> Fraction:
    """The real size of a code's step."""
    (line,) = meaning
    assert isinstance(line, Affine)
    return line.c


def _limits(chain: Chain, cuts: Cuts, step: Fraction) -> tuple[int, int]:
    """(lo, hi): a gradient passes where lo ≤ v < hi, within the quantiser's range and no clamp."""
    width = int(step / cuts.unit)
    edges = (cuts.multiples[0] - width, cuts.multiples[-1] + width)
    lo, hi = first_integers(chain, Cuts(cuts.unit, edges, (True, True)), -_FAR, _FAR)
    for position, bend in enumerate(chain):
        if isinstance(bend, Clamp):
            lower, upper = _clamped(chain[:position], bend)
            lo, hi = max(lo, lower), min(hi, upper)
    return lo, max(lo, hi)


def _clamped(chain: Chain, clamp: Clamp) -> tuple[int, int]:
    """Where what `chain` gives lies between the bounds of `clamp`."""
    lo, hi = -_FAR, _FAR + 1
    if clamp.lo is not None:
        lo = _first_beyond(chain, clamp.lo, inclusive=False)
    if clamp.hi is not None:
        hi = _first_beyond(chain, clamp.hi, inclusive=True)
    return lo, hi


def _first_beyond(chain: Chain, bound: Fraction, *, inclusive: bool) -> int:
    unit, multiple = (abs(bound), 1 if bound > 0 else -1) if bound else (Fraction(1), 0)
    (first,) = first_integers(chain, Cuts(unit, (multiple,), (inclusive,)), -_FAR, _FAR)
    return first
