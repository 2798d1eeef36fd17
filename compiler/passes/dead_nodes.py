"""Removes what no output and no state depends on."""

from dataclasses import dataclass

from edgetrain.compiler.graph import Graph, Node, Value


@dataclass(frozen=True, slots=True)
class DeadNodes:
    """Drops nodes and constants that nothing uses."""

    name: str = "dead-nodes"
    exact: bool = True

    def apply(self, graph: Graph) -> Graph:
        needed: set[Value] = {*graph.outputs, *(s.next for s in graph.states)}
        kept: list[Node] = []
        for node in reversed(graph.nodes):
            if needed & set(node.outputs):
                needed.update(node.inputs)
                kept.append(node)
        constants = {v: array for v, array in graph.constants.items() if v in needed}
        return graph.with_nodes(reversed(kept), constants)
