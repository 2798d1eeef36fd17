"""Takes the gains and biases of a layer that does not learn into its thresholds."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.graph import Graph, Node, Value
from edgetrain.compiler.ops import OPS
from edgetrain.compiler.types import Int, TensorType

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class FoldThresholds:
    """threshold(affine(x, g, b), c) → threshold(x, ⌈(c − b)/g⌉), for constant g > 0, b and c.

    Exact: c ≤ g·x + b if and only if (c − b)/g ≤ x, and x is whole.
    """

    name: str = "fold-thresholds"
    exact: bool = True

    def apply(self, graph: Graph) -> Graph:
        uses = Counter([*(v for node in graph.nodes for v in node.inputs), *graph.outputs])
        makers = {value: node for node in graph.nodes for value in node.outputs}
        constants = dict(graph.constants)
        nodes = []
        for node in graph.nodes:
            layer = makers.get(node.inputs[0]) if node.op == "threshold" else None
            folds = (
                layer is not None
                and layer.op == "affine"
                and uses[node.inputs[0]] == 1
                and constants.keys() >= {*layer.inputs[1:], node.inputs[1]}
                and bool((constants[layer.inputs[1]] > 0).all())
            )
            nodes.append(_fold(layer, node, constants) if layer and folds else node)
        return graph.with_nodes(nodes, constants)


def _fold(layer: Node, node: Node, constants: dict[Value, Array]) -> Node:
    """Both as one; its thresholds are added to `constants`."""
    x, g, b = layer.inputs
    assert isinstance(x.type.scalar, Int)
    held = Int(x.type.scalar.lo, x.type.scalar.hi + 1)
    thresholds = moved(constants[node.inputs[1]], constants[g], constants[b], held)
    t = Value(f"{node.outputs[0].name}_t", TensorType(thresholds.shape, held))
    constants[t] = thresholds
    how = {"lowest": node.attributes.get("lowest", 0)}
    nest = OPS["threshold"].meaning(x.type, t.type, **how)
    return Node("threshold", nest, (x, t), node.outputs, how)


def moved(c: Array, gain: Array, bias: Array, within: Int) -> Array:
    """⌈(c[n,·] − bias[n])/gain[n]⌉, held `within` a range: where a layer's sums reach a threshold
    of the sums times the gain, plus the bias."""
    numerator = bias.astype(np.int64)[:, None] - c.astype(np.int64)
    reached: Array = -(numerator // gain.astype(np.int64)[:, None])
    return reached.clip(within.lo, within.hi)
