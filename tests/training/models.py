"""Float networks as ONNX files."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx

from edgetrain.networks import Bits, Floats, float_mlp, quantised_mlp


def write_mlp(
    path: Path,
    weights: Sequence[Floats],
    biases: Sequence[Floats],
    activation: str | Sequence[str] = "Relu",
) -> Path:
    """A chain of linear layers, weights (K, N), with `activation` (an ONNX op, or one for each gap)
    between them."""
    model = float_mlp(weights, biases)
    gaps = [node for node in model.graph.node if node.op_type == "Relu"]
    activations = [activation] * len(gaps) if isinstance(activation, str) else activation
    for node, op in zip(gaps, activations, strict=True):
        node.op_type = op
        if op == "LeakyRelu":
            node.attribute.append(onnx.helper.make_attribute("alpha", 0.125))
    onnx.save(model, str(path))
    return path


def random_layers(sizes: Sequence[int], seed: int) -> tuple[list[Floats], list[Floats]]:
    """Weights and biases of a network of `sizes`."""
    rng = np.random.default_rng(seed)
    pairs = list(pairwise(sizes))
    weights = [rng.normal(0, k**-0.5, (k, n)).astype(np.float32) for k, n in pairs]
    return weights, [rng.normal(0, 0.3, n).astype(np.float32) for _, n in pairs]


def write_quantised_mlp(
    path: Path, weights: Sequence[Floats], biases: Sequence[Floats], precision: str
) -> Path:
    """The same with ReLU as QONNX, quantised as `precision` (w2a2 …) says, by fitting scales."""
    width, results = int(precision[1]), int(precision[3])
    levels = 2 ** (width - 1) - 1
    steps = tuple(float(np.float32(np.abs(w).max() / (levels + 0.3))) for w in weights)
    bits = Bits((width,) * len(steps), results, 2.0**-5, steps, 3.0 / 2**results)
    onnx.save(quantised_mlp(weights, biases, bits), str(path))
    return path
