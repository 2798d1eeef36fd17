"""Float networks as ONNX files, and the workload that docs/benchmarks.md measures."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float32]


def write_mlp(
    path: Path, weights: Sequence[Floats], biases: Sequence[Floats], activation: str = "Relu"
) -> Path:
    """A chain of linear layers, weights (K, N), with `activation` (an ONNX op) between them."""
    nodes, tensors, last = [], [], "x"
    for layer, (w, b) in enumerate(zip(weights, biases, strict=True)):
        tensors += [
            numpy_helper.from_array(w, f"w{layer}"),
            numpy_helper.from_array(b, f"b{layer}"),
        ]
        nodes.append(helper.make_node("Gemm", [last, f"w{layer}", f"b{layer}"], [f"z{layer}"]))
        last = f"z{layer}"
        if layer < len(weights) - 1:
            options: dict[str, Any] = {"alpha": 0.125} if activation == "LeakyRelu" else {}
            nodes.append(helper.make_node(activation, [last], [f"a{layer}"], **options))
            last = f"a{layer}"
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size])
        for name, size in (("x", weights[0].shape[0]), (last, weights[-1].shape[1]))
    ]
    graph = helper.make_graph(nodes, "mlp", ends[:1], ends[1:], tensors)
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=10), str(path))
    return path


def random_layers(sizes: Sequence[int], seed: int) -> tuple[list[Floats], list[Floats]]:
    """Weights and biases of a network of `sizes`."""
    rng = np.random.default_rng(seed)
    pairs = list(pairwise(sizes))
    weights = [rng.normal(0, k**-0.5, (k, n)).astype(np.float32) for k, n in pairs]
    return weights, [rng.normal(0, 0.3, n).astype(np.float32) for _, n in pairs]


def workload_64_32_16_5() -> tuple[list[Floats], list[Floats], Floats]:
    """Weights, biases and the ten samples of `mlp-64-32-16-5-fp32`, drawn as it is defined."""
    state = 1

    def draw(count: int) -> Floats:
        nonlocal state
        drawn = np.empty(count, np.float32)
        for i in range(count):
            state = (1664525 * state + 1013904223) % 2**32
            drawn[i] = np.float32((state >> 8) / 2**23 - 1)
        return drawn

    samples = draw(640).reshape(10, 64)
    layers = (((64, 32), 1 / 8), ((32, 16), 1 / 4), ((16, 5), 1 / 4))
    weights = [draw(k * n).reshape(k, n) * np.float32(scale) for (k, n), scale in layers]
    return weights, [np.zeros(n, np.float32) for (_, n), _ in layers], samples
