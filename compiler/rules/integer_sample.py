"""The step on one sample without floats: gradients of 16 bits, in units that are known when the
program is made.

A gradient D stands for the real numbers D·unit.  The unit is a power of two times that of the loss;
where channels differ, a multiplication leads them to one.  It is chosen such that a gradient of the
size that the greatest of the loss leads to lies well within the bits: each layer changes the size
by the root mean square of what the network begins with, as if all signs were random.  What is
larger by more than 2^HEADROOM is held at the ends.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, frexp, hypot, log2, sqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.autodiff import backward
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import GraphBuilder, Node, Value
from edgetrain.compiler.learnable import Doubles
from edgetrain.compiler.rules.learner import RULE_STREAM, Run, Sample
from edgetrain.compiler.rules.learning import Learning
from edgetrain.compiler.rules.network import Network
from edgetrain.compiler.types import Int, TensorType

Integers: TypeAlias = NDArray[np.int64]

GRADIENT_BITS = 16
"""Fewer where sums of products with weights would need more than 32."""
HEADROOM = 3
FACTOR_BITS = 15
"""Of what multiplies a gradient in place of a real number."""
PRODUCT_BITS = 30
MOST_SHIFT = 31


@dataclass(frozen=True)
class Gauge:
    """`unit`: the real number that 1 of a gradient is, one or one an index of its last axis;
    `size`: the root mean square of its real elements where the loss is great."""

    unit: Doubles
    size: float


class IntegerSample(Sample):
    """As `Sample`; the network's numbers, the loss and all gradients are integers."""

    def __init__(self, infer: Network, how: Learning) -> None:
        super().__init__(infer, how)
        self._gauges: dict[Value, Gauge] = {}
        arrays = {state.current: state.initial for state in infer.states} | dict(infer.constants)
        self._initial = {self._known[value]: array for value, array in arrays.items()}

    def loss(self, outputs: Value) -> tuple[Value, Value]:
        build = self.how.loss_entry.fixed
        assert build is not None
        unit, *more = set(self._scales[outputs].tolist())
        if more:
            raise InputError(
                "the outputs have no common unit",
                remedy="end with a plain linear layer, or one scale for all outputs",
            )
        made = build(self.b, outputs, unit, self.target)
        size = made.norm / sqrt(made.gradient.type.size)
        return made.loss, self._gauged(made.gradient, made.unit, size)

    def seed(self, value: Value, gradient: Value) -> Value:
        """As of `Sample`, but the share of the mean is left to the rate."""
        gauge, scales = self._gauge(gradient), self._scales[value]
        # The same integers in another unit.
        end = largest(gradient.type)
        seed = self.b.apply("rescale", gradient, shift=0, within=Int(-end, end))
        return self._gauged(seed, gauge.unit * scales, gauge.size * _size(scales))

    def projected(self, op: str, value: Value, layer: int, size: int, bound: float) -> Value:
        bits, terms, of = FACTOR_BITS, 1, Gauge(np.ones(1), 1.0)
        if op == "project":
            value = self._kept(value)
            (terms,), of = value.type.shape, self._gauges[value]
            # Sums of products fit 32 bits.
            bits = min(bits, 31 - (terms * largest(value.type)).bit_length())
        numbers = {"seed": self.how.seed, "stream": RULE_STREAM + layer}
        projected = self.b.apply(f"{op}_fixed", value, size=size, bits=bits, **numbers)
        typical = of.size * bound * sqrt(terms / 3)
        return self._gauged(projected, of.unit * bound * 2.0**-bits, typical)

    def distance(self, value: Value, target: Value) -> Value:
        gauge, scales = self._gauge(target), self._scales[value]
        reaches = (
            largest(value.type) * float(scales.max()),
            largest(target.type) * float(gauge.unit.max()),
        )
        unit = max(reaches) * 2.0 ** (2 - GRADIENT_BITS)
        most = 2 ** (GRADIENT_BITS - 2)
        operands = (
            rescaled(self.b, each, of / unit, most)
            for each, of in ((value, scales), (target, gauge.unit))
        )
        return self._gauged(self.b.apply("subtract", *operands), unit, hypot(*reaches) / sqrt(3))

    def gradients(
        self, run: Run, seeds: Mapping[Value, Value], also: Collection[Value] = ()
    ) -> dict[Value, Value]:
        """As of `Sample`; each of `also` is in one unit."""
        found = super().gradients(run, seeds, also)
        return {value: self._kept(d) if value in also else d for value, d in found.items()}

    def unit(self, gradient: Value) -> float:
        """The real number that 1 of a parameter's gradient is."""
        return float(self._gauges[gradient].unit[0])

    def backward(
        self, b: GraphBuilder, node: Node, d: Value, needed: tuple[bool, ...]
    ) -> Sequence[Value | None]:
        d = self._kept(d)
        parts = backward(b, node, d, needed)
        for position, part in enumerate(parts):
            if part is not None and part not in self._gauges:
                self._gauges[part] = self._through(node, position, self._gauges[d])
        return parts

    def _through(self, node: Node, position: int, d: Gauge) -> Gauge:
        """That of the gradient by an operand of `node`, where `d` is that of its result."""
        slope = self._slope(node)
        if slope is not None:
            return Gauge(d.unit * slope, d.size * _size(slope))
        if position > 0 or node.op not in ("matmul", "affine"):
            return d
        factors = self._initial[node.inputs[1]].astype(np.float64)
        terms = factors.shape[1] if node.op == "matmul" else 1
        return replace(d, size=d.size * _size(factors) * sqrt(terms))

    def _slope(self, node: Node) -> Doubles | None:
        """How much the result of a quantiser rises by a unit of its operand, one number a channel;
        its gradient leaves that to the gauge."""
        if node.op == "threshold":
            return np.array(node.attributes["slope"], np.float64)
        if node.op == "requantise":
            factors = self._initial[node.inputs[1]].astype(np.float64)
            shift: int = node.attributes["shift"]
            return np.ldexp(factors, -shift)
        return None

    def _gauged(self, d: Value, unit: Doubles | float, size: float) -> Value:
        self._gauges[d] = Gauge(np.atleast_1d(unit), size)
        return d

    def _gauge(self, d: Value) -> Gauge:
        if d not in self._gauges:
            self._gauges[d] = self._made(next(n for n in self.b.nodes if d in n.outputs))
        return self._gauges[d]

    def _made(self, node: Node) -> Gauge:
        """That of what an op that rules use makes of gradients."""
        if node.op == "signum":
            return Gauge(np.ones(1), 1.0)
        first = self._gauge(node.inputs[0])
        if node.op == "keep":
            return first
        # The sum of the gradients of two layers that read the same.
        assert node.op == "add"
        second = self._gauge(node.inputs[1])
        assert (first.unit == second.unit).all()
        return replace(first, size=hypot(first.size, second.size))

    @cached_property
    def _most(self) -> int:
        """The greatest gradient: sums of it times the weights of a layer fit 32 bits."""
        weights = [node.inputs[1].type for node in self.infer.nodes if node.op == "matmul"]
        longest = max(kind.shape[1] * largest(kind) for kind in weights)
        return max(1, min((1 << GRADIENT_BITS - 1) - 1, (2**31 - 1) // longest))

    def _kept(self, d: Value) -> Value:
        """`d` in one unit, of few bits: no finer than it is, no coarser than it needs."""
        gauge, most = self._gauge(d), self._most
        finest, coarsest = float(gauge.unit.min()), float(gauge.unit.max())
        reach = min(gauge.size * 2**HEADROOM, largest(d.type) * coarsest)
        unit = finest * 2.0 ** ceil(log2(max(1.0, reach / (most * finest))))
        kept = rescaled(self.b, d, gauge.unit / unit, most)
        return self._gauged(kept, unit, gauge.size)


def rescaled(b: GraphBuilder, d: Value, ratio: Doubles, most: int) -> Value:
    """d·ratio, one or one an index of the last axis, rounded, and held within ±`most`."""
    m, shift = _fixed(ratio)
    greatest = int(np.abs(m).max())
    spare = (largest(d.type) * greatest).bit_length() - PRODUCT_BITS
    if spare > 0 and greatest > 1:
        # Of many bits the lowest are lost, so that the product fits 32.
        end = (largest(d.type) >> spare) + 1
        d = b.apply("rescale", d, shift=spare, within=Int(-end, end))
        m, shift = _fixed(ratio * 2.0**spare)
    first = int(m[0])
    within = Int(-most, most)
    if (m != first).any():
        return b.apply("rescale", d, b.constant(m), shift=shift, within=within)
    if (first, shift) == (1, 0) and largest(d.type) <= most:
        return d
    return b.apply("rescale", d, factor=first, shift=shift, within=within)


def _fixed(ratio: Doubles) -> tuple[Integers, int]:
    """(m, shift): m/2^shift is `ratio`; m has so many bits that the greatest is exact to 2^-15,
    fewer where that is enough."""
    shift = min(max(0, FACTOR_BITS - frexp(np.abs(ratio).max())[1]), MOST_SHIFT)
    m = np.rint(np.ldexp(ratio, shift)).astype(np.int64)
    while shift and not (m % 2).any():
        m, shift = m // 2, shift - 1
    return m, shift


def largest(kind: TensorType) -> int:
    """The greatest size of an element, at least 1."""
    assert isinstance(kind.scalar, Int)
    return max(1, -kind.scalar.lo, kind.scalar.hi)


def _size(numbers: Doubles) -> float:
    """Their root mean square."""
    return float(np.sqrt(np.mean(numbers**2)))
