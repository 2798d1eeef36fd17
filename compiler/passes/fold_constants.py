"""Computes now what depends on nothing but constants."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from edgetrain.compiler.graph import Graph, Node
from edgetrain.compiler.nest import Nest

Evaluate = Callable[[Nest, Sequence[NDArray[Any]]], Sequence[NDArray[Any]]]
"""(nest, its operands) → its results: what every executor computes."""


@dataclass(frozen=True, slots=True)
class FoldConstants:
    """A node of constants becomes constants, where those take no more room.

    Exact: `evaluate` is the reference.  Of sums of floats, whose order the plan is yet to choose,
    nothing is computed here.
    """

    evaluate: Evaluate = field(compare=False)
    name: str = "fold-constants"
    exact: bool = True

    def apply(self, graph: Graph) -> Graph:
        constants = dict(graph.constants)
        kept = graph.kept
        nodes: list[Node] = []
        for node in graph.nodes:
            sizes = [sum(v.type.size for v in values) for values in (node.outputs, node.inputs)]
            if (
                kept.isdisjoint(node.outputs)
                and constants.keys() >= set(node.inputs)
                and all(out.fold is None for out in node.nest.outs)
                and sizes[0] <= sizes[1]
            ):
                results = self.evaluate(node.nest, [constants[value] for value in node.inputs])
                constants |= dict(zip(node.outputs, results, strict=True))
            else:
                nodes.append(node)
        return graph.with_nodes(nodes, constants)
