"""Computes what is larger than its operands as late as possible, so that less lives at once."""

from dataclasses import dataclass

from edgetrain.compiler.graph import Graph, Node


@dataclass(frozen=True, slots=True)
class Postpone:
    """A node whose results take more bytes than what it reads moves to just before its first
    reader: of the gradients over a batch, one lives at a time.

    Exact: the same nodes on the same numbers.
    """

    name: str = "postpone"
    exact: bool = True

    def apply(self, graph: Graph) -> Graph:
        nodes: list[Node] = []
        # From the end, so that what a postponed node reads can follow it.
        for node in reversed(graph.nodes):
            made = set(node.outputs)
            first = next((i for i, n in enumerate(nodes) if made & set(n.inputs)), None)
            larger = sum(v.type.size for v in made) > sum(v.type.size for v in set(node.inputs))
            reads_state = any(state.current in node.inputs for state in graph.states)
            if first is None or not larger or reads_state:
                nodes.insert(0, node)
            else:
                nodes.insert(first, node)
        return graph.with_nodes(nodes, graph.constants)
