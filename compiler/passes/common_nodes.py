"""Computes once what several nodes compute alike."""

from dataclasses import dataclass, replace

from edgetrain.compiler.graph import Graph, Node, Value
from edgetrain.compiler.nest import Nest


@dataclass(frozen=True, slots=True)
class CommonNodes:
    """Of nodes with one nest and the same operands the first serves all.

    Exact: the same primitives on the same numbers.
    """

    name: str = "common-nodes"
    exact: bool = True

    def apply(self, graph: Graph) -> Graph:
        first: dict[tuple[Nest, tuple[Value, ...]], Node] = {}
        known: dict[Value, Value] = {}
        nodes: list[Node] = []
        for node in graph.nodes:
            inputs = tuple(known.get(value, value) for value in node.inputs)
            same = first.setdefault((node.nest, inputs), node)
            if same is node:
                nodes.append(replace(node, inputs=inputs))
            else:
                known |= dict(zip(node.outputs, same.outputs, strict=True))
        return replace(
            graph,
            nodes=tuple(nodes),
            outputs=tuple(known.get(value, value) for value in graph.outputs),
            states=tuple(replace(s, next=known.get(s.next, s.next)) for s in graph.states),
        )
