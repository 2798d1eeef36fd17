"""Float networks as ONNX files."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx

from edgetrain.networks import Floats, float_mlp


def write_mlp(
    path: Path, weights: Sequence[Floats], biases: Sequence[Floats], activation: str = "Relu"
) -> Path:
    """A chain of linear layers, weights (K, N), with `activation` (an ONNX op) between them."""
    slope = {"alpha": 0.125} if activation == "LeakyRelu" else {}
    onnx.save(float_mlp(weights, biases, activation, **slope), str(path))
    return path


def random_layers(sizes: Sequence[int], seed: int) -> tuple[list[Floats], list[Floats]]:
    """Weights and biases of a network of `sizes`."""
    rng = np.random.default_rng(seed)
    pairs = list(pairwise(sizes))
    weights = [rng.normal(0, k**-0.5, (k, n)).astype(np.float32) for k, n in pairs]
    return weights, [rng.normal(0, 0.3, n).astype(np.float32) for _, n in pairs]
