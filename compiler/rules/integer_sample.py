"""The step on one sample without floats: gradients of 16 bits, in units that are known when the
program is made.

What goes backwards is the descent, minus the gradient; it is called a gradient all the same.  A
gradient D stands for the real numbers D·unit.  The unit is a power of two times that of the loss;
where channels differ, a multiplication leads them to one.  It is chosen such that a gradient of the
size that the greatest of the loss leads to lies well within the bits: each layer changes the size
by the root mean square of what the network begins with, as if all signs were random.  What is
larger by more than 2^HEADROOM is held at the ends.
"""

from collections.abc import Sequence
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
from edgetrain.compiler.rules.learner import Sample
from edgetrain.compiler.rules.network import Network
from edgetrain.compiler.rules.registry import Learning
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
        share = unit / self.how.batch
        size = made.norm * share / sqrt(made.descent.type.size)
        self._gauges[made.descent] = Gauge(np.array([made.unit * share]), size)
        return made.loss, made.descent

    def seed(self, value: Value, gradient: Value) -> Value:
        return gradient

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

    def _gauge(self, d: Value) -> Gauge:
        if d not in self._gauges:
            # The sum of the gradients of two layers that read the same.
            (maker,) = (node for node in self.b.nodes if d in node.outputs)
            first, second = map(self._gauge, maker.inputs)
            assert (first.unit == second.unit).all()
            self._gauges[d] = replace(first, size=hypot(first.size, second.size))
        return self._gauges[d]

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
        self._gauges[kept] = Gauge(np.array([unit]), gauge.size)
        return kept


def rescaled(b: GraphBuilder, d: Value, ratio: Doubles, most: int) -> Value:
    """d·ratio, one or one an index of the last axis, rounded, and held within ±`most`."""
    m, shift = _fixed(ratio)
    spare = int(largest(d.type) * m.max()).bit_length() - PRODUCT_BITS
    if spare > 0 and m.max() > 1:
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
    shift = min(max(0, FACTOR_BITS - frexp(ratio.max())[1]), MOST_SHIFT)
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
