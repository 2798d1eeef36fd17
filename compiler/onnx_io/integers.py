"""From exact activations to the integers that a graph computes."""

from fractions import Fraction
from math import gcd, lcm
from typing import Any

import numpy as np

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import GraphBuilder, Value
from edgetrain.compiler.interface import OutputCode
from edgetrain.compiler.learnable import nearest_power_code, power_codes
from edgetrain.compiler.onnx_io.exact import (
    Affine,
    Chain,
    Clamp,
    first_integers,
    rational_root,
    slope_sign,
)
from edgetrain.compiler.onnx_io.file import MAX_ELEMENTS
from edgetrain.compiler.onnx_io.quantiser import Quantiser
from edgetrain.compiler.onnx_io.tensors import Activation
from edgetrain.compiler.types import Int

_WIDEST_FACTOR = 2**31
"""An output's factor or bias beyond it would make 64-bit products doubtful on the device."""


def threshold(builder: GraphBuilder, x: Activation, levels: Quantiser) -> Value:
    """The codes of a quantiser applied to `x`."""
    x = _rising(x)
    accumulator, ranges = accumulate(builder, x)
    table = [
        first_integers(chain, cuts, lo, hi)
        for chain, cuts, (lo, hi) in zip(x.chains, levels.cuts, ranges, strict=True)
    ]
    thresholds = builder.constant(np.array(table, np.int64))
    return builder.apply("threshold", accumulator, thresholds, lowest=levels.lowest)


def accumulate(
    builder: GraphBuilder,
    x: Activation,
    bias: list[int] | None = None,
    anywhere: Int | None = None,
) -> tuple[Value, list[tuple[int, int]]]:
    """The integers N_c (plus `bias`), and the range of each N_c; the type of the result holds also
    what they would be with other weights, if these may be `anywhere` in a range."""
    lo, hi = x.range.lo, x.range.hi
    if x.weights is None:
        return x.source, [(lo, hi)] * x.channels
    least = np.minimum(x.weights * lo, x.weights * hi)
    most = np.maximum(x.weights * lo, x.weights * hi)
    offsets = np.array(bias or [0] * x.channels, dtype=object)
    within = Int(
        int((np.minimum(least, 0).sum(axis=0) + np.minimum(offsets, 0)).min()),
        int((np.maximum(most, 0).sum(axis=0) + np.maximum(offsets, 0)).max()),
    )
    if anywhere is not None:
        products = [code * weight for code in (lo, hi) for weight in (anywhere.lo, anywhere.hi)]
        within = Int(len(x.weights) * min(0, *products), len(x.weights) * max(0, *products))
    how: dict[str, Any] = {"within": within}
    stored, levels = x.weights, anywhere
    if x.powers:
        levels = power_codes(anywhere or Int(int(x.weights.min()), int(x.weights.max())))
        stored, how["powers"] = nearest_power_code(x.weights.astype(np.float64), levels), True
    operands = [x.source, builder.constant(stored, levels)]
    if bias is not None:
        operands.append(builder.constant(np.array(bias, np.int64)))
    accumulator = builder.apply("matmul", *operands, **how)
    ranges = zip(least.sum(axis=0).tolist(), most.sum(axis=0).tolist(), strict=True)
    return accumulator, list(ranges)


def output(
    builder: GraphBuilder, x: Activation, *, comparable: bool = False
) -> tuple[Value, OutputCode]:
    """Integers, and their meaning: the reals `x`.

    They are in one unit, so that their order is that of the reals, where 64 bits hold that;
    where not, InputError if they must be `comparable`, else one scale and offset an output.
    """
    chains, rectified = x.chains, False
    if all(chain and chain[-1] == Clamp(Fraction(0), None) for chain in chains):
        chains, rectified = tuple(chain[:-1] for chain in chains), True
    lines = [_line(chain) for chain in chains]
    if any(line is None for line in lines):
        raise InputError(
            "the output is no exact multiple of integers",
            remedy="end with a linear layer, or put a quantiser (QuantIdentity) at the output",
        )
    slopes = [line[0] for line in lines if line]
    offsets = [line[1] for line in lines if line]
    if x.weights is None and len(set(lines)) == 1 and slopes[0] > 0 and not rectified:
        return x.source, OutputCode(x.source.type, (slopes[0],), (offsets[0],))
    unit, numbers = common_unit(slopes + offsets)
    if any(abs(n) > _WIDEST_FACTOR for n in numbers) and not (rectified or comparable):
        value, _ = accumulate(builder, x)
        return value, OutputCode(value.type, tuple(slopes), tuple(offsets))
    value = _in_units(builder, x, numbers[: len(slopes)], numbers[len(slopes) :])
    if rectified:
        value = builder.apply("relu", value)
    return value, OutputCode(value.type, (unit,), (Fraction(0),))


def _in_units(builder: GraphBuilder, x: Activation, factors: list[int], biases: list[int]) -> Value:
    """The integers N_c · factors[c] + biases[c]."""
    if all(f == 1 for f in factors) and x.weights is not None:
        return accumulate(builder, x, biases if any(biases) else None)[0]
    if any(abs(n) > _WIDEST_FACTOR for n in (*factors, *biases)):
        raise InputError(
            "the outputs' scales and biases have no common unit within 64 bits",
            remedy="use one weight scale and no bias, or a quantised one, in the last layer",
        )
    value, _ = accumulate(builder, x)
    constants = [builder.constant(np.array(n, np.int64)) for n in (factors, biases)]
    return builder.apply("affine", value, *constants)


def _rising(x: Activation) -> Activation:
    """The same reals, as functions that never fall: a falling channel's integers are negated."""
    signs = np.array([-1 if slope_sign(chain) < 0 else 1 for chain in x.chains], np.int64)
    if (signs > 0).all():
        return x
    if x.weights is None and x.channels**2 > MAX_ELEMENTS:
        raise InputError(f"{x.channels} channels turn their sign", remedy="use positive scales")
    weights = np.eye(x.channels, dtype=np.int64) if x.weights is None else x.weights
    flip = Affine(Fraction(-1), Fraction(0))
    chains = tuple(
        (flip, *chain) if sign < 0 else chain
        for chain, sign in zip(x.chains, signs.tolist(), strict=True)
    )
    return Activation(x.source, chains, weights * signs, powers=x.powers)


def _line(chain: Chain) -> tuple[Fraction, Fraction] | None:
    """(slope, offset) of a chain that is one rational line, else None."""
    slope, offset = Fraction(1), Fraction(0)
    for step in chain:
        root = rational_root(step.v) if isinstance(step, Affine) else None
        if root is None or not isinstance(step, Affine):
            return None
        slope, offset = slope * step.c / root, offset * step.c / root + step.d
    return slope, offset


def common_unit(numbers: list[Fraction]) -> tuple[Fraction, list[int]]:
    """The greatest unit of which all `numbers` are whole multiples, and the multiples."""
    unit = Fraction(gcd(*(n.numerator for n in numbers)), lcm(*(n.denominator for n in numbers)))
    if unit == 0:
        return Fraction(1), [0] * len(numbers)
    return unit, [int(n / unit) for n in numbers]
