"""A training step without floats in Python's integers: what `--precision integer` means.

It shares no expression with the compiler; of the network it knows what the importer knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor, frexp, log, log2, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.graph import Graph, Node
from edgetrain.compiler.learnable import Learnable
from edgetrain.compiler.onnx_io.load import ImportedModel
from edgetrain.compiler.rules import Learning
from edgetrain.compiler.types import Int

Integers = NDArray[Any]
ONE = 2**15
ENDS = 2**31 - 1
"""Every sum with a gradient, and every move, lies between −ENDS and ENDS."""


def whole(array: Any) -> Integers:
    """Integers without bounds."""
    found: Integers = np.vectorize(int, otypes=[object])(np.asarray(array))
    return found


def rounded(x: Any, amount: Any) -> Any:
    """x/2^amount, to nearest, ties up."""
    return (2 * x // 2**amount + 1) // 2


def clip(x: Any, lo: int, hi: int) -> Any:
    return np.minimum(np.maximum(x, lo), hi)


def ratio(x: float, bits: int) -> tuple[int, int]:
    shift = max(0, bits - frexp(x)[1])
    return round(x * 2.0**shift), shift


def times(d: Integers, greatest: int, ratio: Any) -> tuple[Integers, int]:
    """d·ratio in fixed point, one number an element or one for all, and how great it can be.

    The greatest ratio has 15 bits; of d so many are left that 30 hold the product.
    """
    top = float(np.max(np.abs(ratio)))
    shift = min(max(0, 15 - frexp(top)[1]), 31)
    m = np.array([round(each) for each in np.ravel(ratio) * 2.0**shift], object)
    while shift and not (m % 2).any():
        m, shift = m // 2, shift - 1
    most = max(abs(m))
    spare = (greatest * most).bit_length() - 30
    if spare > 0 and most > 1:
        assert shift >= spare
        d, greatest, shift = rounded(d, spare), (greatest >> spare) + 1, shift - spare
    return rounded(d * m, shift), int(rounded(greatest * most, shift))


def scaled(x: int, greatest: int, factor: float, most: int) -> int:
    """x·factor, at most `most`, by a multiplier of 16 bits."""
    limit = min(greatest, ceil(most / factor))
    m, shift = ratio(factor, 16)
    return min(min(x, limit) * m >> shift, most)


def bow(f: int, a: float, b: float, c: float) -> int:
    """f(1 − f)(a + b·f + c·f²), f in units of 1/ONE, the result in half of them."""
    inner = round(b * ONE) + (round(c * ONE) * f >> 15)
    inner = round(a * ONE) + (inner * f >> 15)
    return ((f * (ONE - f) >> 13) * inner + 2**15) >> 16


def exp2(t: int) -> int:
    """2^-t, both in units of 1/ONE."""
    f = t % ONE
    twice = 2 * ONE - f - bow(f, 0.19307217, -0.04642513, 0.006851)
    return ((twice >> min(t // ONE, 17)) + 1) // 2


def log2_of(s: int) -> int:
    """log₂(s/ONE), in units of 1/ONE."""
    exponent = (s // ONE).bit_length() - 1
    f = (s >> exponent) - ONE
    return exponent * ONE + f + bow(f, 0.43872575, -0.23905827, 0.08213072) // 2


def cross_entropy(z: list[int], width: int, unit: float, label: int) -> tuple[int, list[int]]:
    """The loss in units of 2^-12, and its gradient in units of 1/ONE."""
    below = [max(z) - each for each in z]
    e = [exp2(scaled(d, width, unit / log(2) * ONE, 17 * ONE)) for d in below]
    inverse = 2**30 // sum(e)
    gradient = [(each * inverse + 2**14 >> 15) - ONE * (n == label) for n, each in enumerate(e)]
    rest = scaled(log2_of(sum(e)), 32 * ONE, log(2) / 8, 2**20)
    loss = scaled(below[label], width, unit * 2**12, 2**24) + rest
    return min(loss, 2**24), [min(max(d, 1 - ONE), ONE - 1) for d in gradient]


@dataclass
class Layer:
    """The nodes of a linear layer, None where it has none."""

    matmul: Node
    affine: Node | None = None
    quantiser: Node | None = None


@dataclass
class Gradient:
    """`d` stands for d·unit; no element is greater than `greatest` can be, and typically `size`."""

    d: Integers
    unit: Any
    size: float
    greatest: int


def size_of(x: Any) -> float:
    return sqrt(np.mean(np.asarray(x, np.float64) ** 2))


class Reference:
    """Learns as `how` says; `state` begins as the device's.

    `held` counts the elements of gradients that were held at their ends, of `kept` in all.
    """

    def __init__(self, model: ImportedModel, state: Mapping[str, Any], how: Learning) -> None:
        self.graph: Graph = model.graph
        assert model.quantisation is not None
        self.learnable = {each.name: each for each in model.quantisation.learnable.values()}
        self.names = {v: each.name for v, each in model.quantisation.learnable.items()}
        (self.unit,) = model.quantisation.scales[self.graph.outputs[0]].tolist()
        self.state = {name: whole(array) for name, array in state.items()}
        self.initial = {**self.state}
        self.how = how
        self.fade: int | None = None
        self.steps = self.held = self.kept = 0
        self.layers: list[Layer] = []
        for node in self.graph.nodes:
            if node.op == "matmul":
                self.layers.append(Layer(node))
            elif node.op == "affine":
                self.layers[-1].affine = node
            else:
                assert node.op in ("threshold", "requantise")
                self.layers[-1].quantiser = node
        sums = [n.shape[1] * self.range(m)[1] for n, m in map(self._weights, self.layers)]
        self.most = min(2**15 - 1, ENDS // max(sums))

    def _weights(self, layer: Layer) -> tuple[Integers, Any]:
        value = layer.matmul.inputs[1]
        return self.value(value), value

    def value(self, value: Any, state: Mapping[str, Integers] | None = None) -> Integers:
        """A constant, or what has been learned in its place."""
        known = self.state if state is None else state
        name = self.names.get(value)
        return (
            known[name]
            if name is not None and name in known
            else whole(self.graph.constants[value])
        )

    @staticmethod
    def range(value: Any) -> tuple[int, int]:
        """(least, greatest magnitude) of its type."""
        kind = value.type.scalar
        assert isinstance(kind, Int)
        return kind.lo, max(-kind.lo, kind.hi)

    def step(self, x: Integers, label: int) -> int:
        """The loss; the state is then that after a step."""
        inputs, sums, values = [whole(x)], [], []
        for layer in self.layers:
            sums.append(inputs[-1] @ self._weights(layer)[0])
            values.append(sums[-1])
            if layer.affine is not None:
                gain, bias = (self.value(v) for v in layer.affine.inputs[1:])
                values[-1] = sums[-1] * gain + bias
            inputs.append(self._codes(layer.quantiser, values[-1]))
        (output,) = self.graph.outputs
        width = output.type.scalar.hi - output.type.scalar.lo  # type: ignore[union-attr]
        loss, gradient = cross_entropy(inputs[-1].tolist(), width, self.unit, label)
        unit = self.unit / ONE
        back = Gradient(whole(gradient), unit, sqrt(2 / len(gradient)) * self.unit, ONE - 1)
        moved: dict[str, Integers] = {}
        for n in reversed(range(len(self.layers))):
            back = self._layer(self.layers[n], inputs[n], sums[n], values[n], back, moved)
        for name, latent in moved.items():
            self._deploy(name, latent)
        self.steps += 1
        return loss

    def _codes(self, node: Node | None, v: Integers) -> Integers:
        if node is None:
            return v
        table = [whole(self.graph.constants[value]) for value in node.inputs[1:]]
        if node.op == "threshold":
            return whole(node.attributes.get("lowest", 0) + (table[0] <= v[:, None]).sum(axis=1))
        within = node.attributes["within"]
        codes = (v * table[0] + table[1]) // 2 ** node.attributes["shift"]
        return whole(clip(codes, within.lo, within.hi))

    def _layer(
        self,
        layer: Layer,
        x: Integers,
        sums: Integers,
        v: Integers,
        back: Gradient,
        moved: dict[str, Integers],
    ) -> Gradient:
        """From what comes back to the layer's result to what goes back from its input."""
        back = self._keep(back)
        if layer.quantiser is not None:
            back = self._keep(self._straight_through(layer.quantiser, v, back))
        if layer.affine is not None:
            gain, bias = layer.affine.inputs[1:]
            self._move(bias, back.d, None, back, moved)
            if self.names.get(gain) in self.learnable:
                product = Gradient(back.d * sums, back.unit, 0, 0)
                product.greatest = back.greatest * self.range(layer.matmul.outputs[0])[1]
                self._move(gain, product.d, None, product, moved)
            size = back.size * size_of(self.value(gain, self.initial))
            greatest = back.greatest * self.range(gain)[1]
            back = self._keep(Gradient(back.d * self.value(gain), back.unit, size, greatest))
        w, value = self._weights(layer)
        self._move(value, back.d, (x, layer.matmul.inputs[0]), back, moved)
        first = self.value(value, self.initial)
        size = back.size * sqrt((first.astype(float) ** 2).sum() / len(first))
        sent = w @ back.d
        assert max(map(abs, sent)) <= ENDS
        return Gradient(sent, back.unit, size, w.shape[1] * back.greatest * self.range(value)[1])

    def _straight_through(self, node: Node, v: Integers, back: Gradient) -> Gradient:
        if node.op == "threshold":
            slope = np.array(node.attributes["slope"])
            passes = [
                lo <= a < hi for a, (lo, hi) in zip(v, node.attributes["limits"], strict=True)
            ]
        else:
            m, b = (whole(self.graph.constants[value]) for value in node.inputs[1:])
            shift, within = node.attributes["shift"], node.attributes["within"]
            slope = m.astype(float) / 2.0**shift
            level = (v * m + b) // 2**shift
            passes = [within.lo <= each <= within.hi for each in level]
        return Gradient(
            np.where(passes, back.d, 0),
            back.unit * slope,
            back.size * size_of(slope),
            back.greatest,
        )

    def _keep(self, back: Gradient) -> Gradient:
        finest, coarsest = float(np.min(back.unit)), float(np.max(back.unit))
        reach = min(8 * back.size, back.greatest * coarsest)
        unit = finest * 2.0 ** ceil(log2(max(1.0, reach / self.most / finest)))
        d, greatest = times(back.d, back.greatest, back.unit / unit)
        self.kept += d.size
        self.held += int((abs(d) > self.most).sum())
        d = clip(d, -self.most, self.most)
        return Gradient(d, unit, back.size, min(greatest, self.most))

    def _move(
        self,
        value: Any,
        d: Integers,
        x: tuple[Integers, Any] | None,
        back: Gradient,
        moved: dict[str, Integers],
    ) -> None:
        """The next latent numbers of a parameter."""
        name = self.names[value]
        learnable, latent = self.learnable[name], self._latent(name)
        rate = self.how.rate * back.unit * 2.0 ** self._fraction(name, learnable)
        rate = rate / learnable.unit**2
        greatest = back.greatest
        if self.how.schedule == "step":
            # Halved again and again, in units of 2^-15.
            assert self.how.schedule_factor == 0.5
            d = d * (ONE >> self.steps // self.how.schedule_steps)
            greatest, rate = greatest * ONE, rate / ONE
        most = 2 ** (30 - (self.fade or 0)) // (1 if x is None else max(1, self.range(x[1])[1]))
        shift = min(max(floor(log2(most / greatest / rate.max())), 1), 31)
        q = clip(times(d, greatest, -rate * 2.0**shift)[0], -most, most)
        g = q if x is None else np.multiply.outer(x[0], q)
        assert np.abs(g).max() <= 2**30
        if self.fade is not None:
            m = self.state.setdefault(f"m_{self._holder(name)}", 0 * g)
            g = self.state[f"m_{self._holder(name)}"] = m - rounded(m, self.fade) + g
        lo, hi = self._limits(name, learnable)
        moved[name] = clip(latent + rounded(g, shift), lo, hi)

    def _holder(self, name: str) -> str:
        """The state that moves."""
        return f"latent_{name}" if f"latent_{name}" in self.state else name

    def _latent(self, name: str) -> Integers:
        return self.state[self._holder(name)]

    def _fraction(self, name: str, learnable: Learnable) -> int:
        """Of an int16 latent: as many bits as its range leaves."""
        if f"latent_{name}" not in self.state:
            return 0
        ends = max(-learnable.levels.lo, learnable.levels.hi) + 0.5
        return floor(log2(32767 / ends))

    def _limits(self, name: str, learnable: Learnable) -> tuple[int, int]:
        levels = learnable.levels
        if f"latent_{name}" not in self.state:
            return levels.lo, levels.hi
        one = 2 ** self._fraction(name, learnable)
        return levels.lo * one - one // 2, levels.hi * one + one // 2

    def _deploy(self, name: str, latent: Integers) -> None:
        if f"latent_{name}" not in self.state:
            self.state[name] = latent
            return
        self.state[f"latent_{name}"] = latent
        levels, one = self.learnable[name].levels, 2 ** self._fraction(name, self.learnable[name])
        nearest = [round(number / one) for number in latent.ravel().tolist()]
        found = clip(np.array(nearest), levels.lo, levels.hi)
        self.state[name] = whole(found).reshape(latent.shape)
