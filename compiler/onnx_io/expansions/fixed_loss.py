"""Losses without floats."""

from collections.abc import Sequence
from math import log

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter
from edgetrain.compiler.onnx_io.expansions.registry import expands, is_label, spread
from edgetrain.compiler.onnx_io.expansions.whole import Whole
from edgetrain.compiler.ops.fixed_loss import (
    EXP2,
    LOG2,
    LOSS_FRACTION,
    LOSS_RANGE,
    ONE,
    VANISHING,
    held_ratio,
)
from edgetrain.compiler.types import Int


def times(x: Whole, greatest: int, factor: float, most: int) -> Whole:
    """x·factor, of an x from 0 to `greatest`, rounded down; `most` where it is more."""
    limit, m, shift = held_ratio(factor, greatest, most)
    return (x.at_most(limit) * m >> shift).at_most(most)


def _bow(coefficients: Sequence[float], f: Whole) -> Whole:
    first, second, third = (round(c * ONE) for c in coefficients)
    polynomial = ((f * third >> 15) + second) * f
    return ((f * (ONE - f) >> 13) * ((polynomial >> 15) + first) + 2**15) >> 16


def _width(node: Node, operand: int) -> int:
    kind = node.inputs[operand].type.scalar
    assert isinstance(kind, Int)
    return kind.hi - kind.lo


@expands("exp_shifted_fixed")
def exp_shifted_fixed(e: Emitter, node: Node, z: str, m: str) -> str:
    below = Whole(e, spread(e, node, 1, m)) - Whole(e, z)
    below = below.within(Int(0, _width(node, 0)))
    t = times(below, _width(node, 0), node.attributes["unit"] / log(2) * ONE, VANISHING * ONE)
    f = t - (t >> 15 << 15)
    twice = (2 * ONE - f - _bow(EXP2, f)).within(Int(0, 2 * ONE))
    return ((twice >> (t >> 15).at_most(VANISHING)) + 1 >> 1).name


@expands("reciprocal_fixed")
def reciprocal_fixed(e: Emitter, node: Node, s: str) -> str:
    return (2**30 // Whole(e, s).at_least(ONE)).name


@expands("softmax_residual_fixed")
def softmax_residual_fixed(e: Emitter, node: Node, x: str, r: str, label: str) -> str:
    p = Whole(e, x) * Whole(e, spread(e, node, 1, r)) + 2**14 >> 15
    wanted = is_label(e, node, 2, label, node.inputs[0].type.shape[-1])
    residual = Whole(e, e.node("Where", wanted, (p - ONE).name, p.name))
    return residual.within(Int(1 - ONE, ONE - 1)).name


@expands("cross_entropy_fixed")
def cross_entropy_fixed(e: Emitter, node: Node, label: str, z: str, m: str, s: str) -> str:
    kind, unit = node.inputs[1].type, node.attributes["unit"]
    wanted = is_label(e, node, 0, label, kind.shape[-1])
    chosen = e.node("Where", wanted, z, e.number(0, kind.scalar))
    picked = Whole(e, e.node("ReduceSum", chosen, e.integers(-1), keepdims=0))
    distance = (Whole(e, m) - picked).within(Int(0, _width(node, 1)))
    total = Whole(e, s).at_least(ONE)
    whole = total.of(0)
    sums = node.inputs[3].type.scalar
    assert isinstance(sums, Int)
    for power in range(1, (max(sums.hi, ONE) // ONE).bit_length()):
        whole = whole + total.reaches(ONE << power)
    f = ((total >> whole) - ONE).within(Int(0, ONE - 1))
    bits = ((whole << 15) + f + (_bow(LOG2, f) >> 1)).within(Int(0, 32 * ONE))
    rest = times(bits, 32 * ONE, log(2) * 2.0 ** (LOSS_FRACTION - 15), 2**20)
    loss = times(distance, _width(node, 1), unit * 2.0**LOSS_FRACTION, LOSS_RANGE.hi) + rest
    return loss.within(LOSS_RANGE).name


@expands("scale_fixed")
def scale_fixed(e: Emitter, node: Node, x: str) -> str:
    kind = node.inputs[0].type.scalar
    assert isinstance(kind, Int)
    return times(Whole(e, x), kind.hi, node.attributes["factor"], LOSS_RANGE.hi).name
