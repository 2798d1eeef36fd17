"""The precisions in which MNIST is learned, and the network that each begins with."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import onnx

from edgetrain.compiler.rules import RULES
from edgetrain.networks import Bits, Floats, float_mlp, quantised_mlp
from tools.experiments.digits import CLASSES, PIXELS, training_digits

HIDDEN: Final = 64
INPUT_STEP: Final = 2.0**-7
"""Of the pixels, from 0 to 1, where the network is quantised."""


@dataclass(frozen=True)
class Precision:
    """`bits` of weights and activations, if quantised; `how` are fields of Learning.

    `family`: what a rule declares that it is defined in; `rules` are all of those unless named.
    """

    family: str
    bits: tuple[int, int] | None = None
    how: Mapping[str, Any] = field(default_factory=dict)
    rules: tuple[str, ...] = ()


PRECISIONS: Final = {
    "fp32": Precision("fp32", how={"precision": "fp32"}),
    "fp16": Precision("fp16", how={"precision": "fp16"}),
    "w2a2": Precision("quantised", (2, 2)),
    "w4a4": Precision("quantised", (4, 4)),
    "int8": Precision("quantised", (8, 8), {"precision": "int8"}),
    "pow2, activations of 4 bits": Precision("quantised", (8, 4), {"precision": "pow2"}, ("sgd",)),
    "w2a2, learned scales": Precision("quantised", (2, 2), {"scales": "learned"}, ("sgd",)),
    "w2a2, latents of fp16": Precision("quantised", (2, 2), {"latent": "fp16"}, ("sgd",)),
    "w2a2, latents of int8": Precision("quantised", (2, 2), {"latent": "int8"}, ("sgd",)),
    "w2a2, no floats": Precision("integer", (2, 2), {"precision": "integer"}),
    "w8a8, no floats": Precision("integer", (8, 8), {"precision": "integer"}),
    "int8, unscaled gradients": Precision(
        "quantised", (8, 8), {"precision": "int8", "scaled_gradients": False}, ("sgd",)
    ),
}


def applicable() -> Iterator[tuple[str, str]]:
    """Every (precision, rule) that the registry of rules declares applicable."""
    for name, precision in PRECISIONS.items():
        for rule in precision.rules or RULES:
            if precision.family in RULES[rule].precisions:
                yield name, rule


def inputs(rule: str) -> int:
    """Of the network that the rule learns: a block of noprop takes a noisy label too."""
    return PIXELS + CLASSES * (rule == "noprop")


def initial_weights(seed: int, first: int = PIXELS) -> list[Floats]:
    """196-64-10, (inputs, outputs), uniform within √(6/inputs) (He et al., 2015); biases are 0."""
    rng = np.random.default_rng([seed, 1])
    sizes = ((first, HIDDEN), (HIDDEN, CLASSES))
    return [rng.uniform(-1, 1, size).astype(np.float32) * _most(size[0]) for size in sizes]


def _most(inputs: int) -> np.float32:
    return np.float32(np.sqrt(6 / inputs))


def model(precision: str, rule: str, seed: int) -> onnx.ModelProto:
    """The untrained network."""
    weights = initial_weights(seed, inputs(rule))
    biases = [np.zeros(w.shape[1], np.float32) for w in weights]
    bits = PRECISIONS[precision].bits
    if bits is None:
        return float_mlp(weights, biases)
    return quantised_mlp(weights, biases, grids(*bits, seed))


def grids(weight_bits: int, activation_bits: int, seed: int) -> Bits:
    """Steps that never change: weights may grow to twice what they begin with, activations to what
    the greatest hidden one of the training images begins with.  The last layer's weights have 8
    bits, as those of `edgetrain train can-ids`."""
    widths = (weight_bits, 8)
    steps = tuple(
        float(2 * _most(rows) / (2 ** (width - 1) - 0.5))
        for rows, width in zip((PIXELS, HIDDEN), widths, strict=True)
    )
    hidden = training_digits().images @ initial_weights(seed)[0]
    activation_step = float(hidden.max()) / (2**activation_bits - 1)
    return Bits(widths, activation_bits, INPUT_STEP, steps, activation_step)
