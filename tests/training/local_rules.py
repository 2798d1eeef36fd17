"""Plain NumPy references, in float64, of rules with other errors than those of back-propagation."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
WORD = 2**32
FIRST_STREAM = 2**16


def scramble(x: int) -> int:
    x = (x ^ (x >> 16)) * 0x7FEB352D % WORD
    x = (x ^ (x >> 15)) * 0x846CA68B % WORD
    return x ^ (x >> 16)


def random_bits(seed: int, stream: int, step: int, index: int) -> int:
    key = scramble(seed) ^ stream
    return scramble(scramble(key ^ index) ^ scramble(scramble(key) ^ step))


def matrix(rows: int, columns: int, bound: float, seed: int, layer: int) -> Doubles:
    """The fixed matrix of a hidden layer."""
    bits = [random_bits(seed, FIRST_STREAM + layer, 0, i) for i in range(rows * columns)]
    unit = np.array([((word >> 8) + 0.5) / 2**23 - 1 for word in bits])
    return (bound * unit).reshape(rows, columns)


ACTIVATIONS: dict[str, Any] = {
    "Relu": (lambda z: np.maximum(z, 0), lambda a: (a > 0) * 1.0),
    "LeakyRelu": (lambda z: np.where(z < 0, z / 8, z), lambda a: np.where(a < 0, 1 / 8, 1.0)),
    "Sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda a: a * (1 - a)),
    "Tanh": (np.tanh, lambda a: 1 - a**2),
    "Identity": (lambda z: z, np.ones_like),
}
"""σ of z, and σ′ of a = σ(z)."""


def output_error(loss: str, z: Doubles, target: Any) -> Doubles:
    """The gradient of the loss by the outputs z."""
    if loss == "mse":
        return 2 / len(z) * (z - np.asarray(target, np.float64))
    exps: Doubles = np.exp(z - z.max())
    found: Doubles = exps / exps.sum() - np.eye(len(z))[int(target)]
    return found


def hidden_error(
    rule: str,
    options: Mapping[str, Any],
    seed: int,
    layer: int,
    a: Doubles,
    label: Doubles,
    e: Doubles,
) -> Doubles:
    """What stands for the gradient by the output `a` of a hidden layer: `label` is the one-hot
    label, or of mse the target, and `e` the error of the outputs."""
    n = len(a)
    if rule == "target-projection":
        difference = a - matrix(n, len(label), options.get("scale", 1.0), seed, layer) @ label
        return difference if options.get("norm", 2) == 2 else np.sign(difference)
    if rule == "drtp":
        return matrix(n, len(label), options.get("scale", 6**0.5) / n**0.5, seed, layer) @ label
    assert rule == "dfa"
    return matrix(n, len(e), options.get("scale", 1.0) / n**0.5, seed, layer) @ e


def gradients(
    rule: str,
    options: Mapping[str, Any],
    seed: int,
    loss: str,
    activation: str,
    parameters: Mapping[str, Doubles],
    x: Doubles,
    target: Any,
) -> dict[str, Doubles]:
    """Of one sample, by the names of the parameters."""
    sigma, slope = ACTIVATIONS[activation]
    layers = len(parameters) // 2
    outputs = [x]
    for layer in range(layers):
        z = outputs[-1] @ parameters[f"w{layer}"] + parameters[f"b{layer}"]
        outputs.append(z if layer == layers - 1 else sigma(z))
    e = output_error(loss, outputs[-1], target)
    label = target if loss == "mse" else np.eye(max(len(e), 2))[target]
    found: dict[str, Doubles] = {}
    for layer, (before, after) in enumerate(pairwise(outputs)):
        delta = e
        if layer < layers - 1:
            delta = hidden_error(rule, options, seed, layer, after, label, e) * slope(after)
        found |= {f"w{layer}": np.outer(before, delta), f"b{layer}": delta}
    return found


def mean_gradients(samples: Sequence[dict[str, Doubles]]) -> dict[str, Doubles]:
    return {name: np.mean([each[name] for each in samples], axis=0) for name in samples[0]}


def most_of(d: Doubles, count: int) -> Doubles:
    """`d` with zeros for all but the `count` greatest, of equals the first."""
    kept = np.zeros_like(d)
    chosen = np.argsort(-np.abs(d), kind="stable")[:count]
    kept[chosen] = d[chosen]
    return kept


class SparseBackPropagation:
    """TinyProp; it remembers the greatest sums of gradients that it has seen."""

    def __init__(self, s_min: float, s_max: float, zeta: float) -> None:
        self.s_min, self.s_max, self.zeta = s_min, s_max, zeta
        self.most: dict[int, float] = {}
        self.counts: list[int] = []

    def gradients(
        self, loss: str, activation: str, parameters: Mapping[str, Doubles], x: Doubles, target: Any
    ) -> dict[str, Doubles]:
        """Of one sample, by the names of the parameters."""
        sigma, slope = ACTIVATIONS[activation]
        layers = len(parameters) // 2
        outputs = [x]
        for layer in range(layers):
            z = outputs[-1] @ parameters[f"w{layer}"] + parameters[f"b{layer}"]
            outputs.append(z if layer == layers - 1 else sigma(z))
        found: dict[str, Doubles] = {}
        d = output_error(loss, outputs[-1], target)
        for layer in reversed(range(layers)):
            if layer < layers - 1:
                d = d * slope(outputs[layer + 1])
            d = most_of(d, self.count(d, layer, layers))
            found |= {f"w{layer}": np.outer(outputs[layer], d), f"b{layer}": d}
            d = parameters[f"w{layer}"] @ d
        return found

    def count(self, d: Doubles, layer: int, layers: int) -> int:
        y = float(np.abs(d).sum())
        self.most[layer] = max(self.most.get(layer, 0.0), y)
        share = self.s_min + y * (self.s_max - self.s_min) / self.most[layer]
        count = int(len(d) * share * self.zeta ** (layers - 1 - layer) + 0.5)
        self.counts.append(min(max(count, 1), len(d)))
        return self.counts[-1]
