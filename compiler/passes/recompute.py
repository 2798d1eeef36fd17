"""Computes what is quickly computed again for each reader, instead of storing it for all."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from edgetrain.compiler.expr import Apply, Dim, subexpressions
from edgetrain.compiler.graph import Graph, Node, Value

PRIMITIVES = 2
"""The most that are worth computing again an element: a product and its cast."""


@dataclass(frozen=True, slots=True)
class Recompute:
    """A map of few primitives that is larger than all that it reads, such as x dᵀ, is computed once
    for each time that maps read it, so that `FuseMaps` can take it into them.  What is stored
    anyway, inputs, constants and states, counts for nothing.

    Exact: the same primitives on the same numbers.
    """

    name: str = "recompute"
    exact: bool = True

    def apply(self, graph: Graph) -> Graph:
        kept = graph.kept
        lasting = graph.lasting
        nodes = list(graph.nodes)
        for producer in graph.nodes:
            result = producer.outputs[0]
            uses = [
                (i, position)
                for i, node in enumerate(nodes)
                for position, value in enumerate(node.inputs)
                if value == result
            ]
            if (
                result in kept
                or not _quick(producer, lasting)
                or not all(_takes(nodes[i], position) for i, position in uses)
            ):
                continue
            copies = []
            for number, (i, position) in enumerate(uses[1:]):
                again = Value(f"{result.name}_{number}", result.type)
                inputs = list(nodes[i].inputs)
                inputs[position] = again
                nodes[i] = replace(nodes[i], inputs=tuple(inputs))
                copies.append(replace(producer, outputs=(again,)))
            position = nodes.index(producer)
            nodes[position + 1 : position + 1] = copies
        return graph.with_nodes(nodes, graph.constants)


def _quick(node: Node, lasting: Collection[Value]) -> bool:
    if len(node.outputs) != 1 or node.nest.outs[0].fold is not None:
        return False
    applied = [e for e in subexpressions(node.nest.outs[0].body) if isinstance(e, Apply)]
    read = sum(value.type.size for value in set(node.inputs) - set(lasting))
    return len(applied) <= PRIMITIVES and node.outputs[0].type.size > read


def _takes(node: Node, position: int) -> bool:
    """Whether `node` consists of maps that read an operand over all of their dims."""
    maps = all(out.fold is None for out in node.nest.outs)
    return maps and {*node.nest.reads[position].access} == {Dim(*d) for d in node.nest.dims}
