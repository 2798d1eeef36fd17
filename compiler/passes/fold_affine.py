"""Takes an affine map of a linear layer's results, as of a batch norm, into its parameters."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph, Node, Value
from edgetrain.compiler.ops import OPS
from edgetrain.compiler.types import TensorType

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class FoldAffine:
    """affine(matmul(x, W, b), a, c) → matmul(x, W·a, b·a + c), for constant W, b, a, c of floats.

    Not exact: weights and bias are rounded once more, the results once less.  Raises InputError
    where they leave their type.
    """

    name: str = "fold-affine"
    exact: bool = False

    def apply(self, graph: Graph) -> Graph:
        constants = dict(graph.constants)
        uses = Counter([*(v for node in graph.nodes for v in node.inputs), *graph.outputs])
        layers: dict[Value, Node] = {}
        nodes: list[Node] = []
        for node in graph.nodes:
            folded = node
            layer = layers.get(node.inputs[0]) if node.op == "affine" else None
            fixed = (*node.inputs[1:], *(layer.inputs[1:] if layer else ()))
            if layer and uses[node.inputs[0]] == 1 and all(v in constants for v in fixed):
                nodes.remove(layer)
                folded = _fold(layer, node, constants)
            if folded.op == "matmul":
                layers[folded.outputs[0]] = folded
            nodes.append(folded)
        used = {value for node in nodes for value in node.inputs}
        return graph.with_nodes(nodes, {v: a for v, a in constants.items() if v in used})


def _fold(layer: Node, affine: Node, constants: dict[Value, Array]) -> Node:
    """Both as one layer; its parameters are added to `constants`."""
    x, *parameters = layer.inputs
    (y,) = affine.outputs
    dtype = constants[parameters[0]].dtype
    factor, offset = (constants[v].astype(np.float64) for v in affine.inputs[1:])
    weights, *bias = (constants[v].astype(np.float64) for v in parameters)
    folded = [weights * factor, (bias[0] if bias else 0.0) * factor + offset]
    operands = [x]
    for name, array in zip("wb", folded, strict=True):
        with np.errstate(over="ignore"):
            rounded = array.astype(dtype)
        if not np.isfinite(rounded).all():
            raise InputError(
                "a batch norm scales weights beyond their type", remedy="check the training"
            )
        kind = TensorType(rounded.shape, parameters[0].type.scalar)
        operands.append(Value(f"{y.name}_{name}", kind))
        constants[operands[-1]] = rounded
    nest = OPS["matmul"].meaning(*(v.type for v in operands))
    return Node("matmul", nest, tuple(operands), (y,))
