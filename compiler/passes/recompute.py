"""Computes what is quickly computed again for each reader, instead of storing it for all."""

from dataclasses import dataclass, replace

from edgetrain.compiler.expr import Apply, Dim, subexpressions
from edgetrain.compiler.graph import Graph, Node, Value

PRIMITIVES = 2
"""The most that are worth computing again an element: a product and its cast."""


@dataclass(frozen=True, slots=True)
class Recompute:
    """A map of few primitives that is larger than all that it reads, such as x dᵀ, is computed once
    for each of the maps that read it, into which `FuseMaps` can then take it.

    Exact: the same primitives on the same numbers.
    """

    name: str = "recompute"
    exact: bool = True

    def apply(self, graph: Graph) -> Graph:
        kept = {*graph.outputs, *(state.next for state in graph.states)}
        nodes = list(graph.nodes)
        for producer in graph.nodes:
            result = producer.outputs[0]
            readers = [i for i, node in enumerate(nodes) if result in node.inputs]
            if (
                result in kept
                or not _quick(producer)
                or not all(_takes(nodes[i], result) for i in readers)
            ):
                continue
            copies = []
            for number, i in enumerate(readers[1:]):
                again = Value(f"{result.name}_{number}", result.type)
                inputs = tuple(again if v == result else v for v in nodes[i].inputs)
                nodes[i] = replace(nodes[i], inputs=inputs)
                copies.append(replace(producer, outputs=(again,)))
            position = nodes.index(producer)
            nodes[position + 1 : position + 1] = copies
        return graph.with_nodes(nodes, graph.constants)


def _quick(node: Node) -> bool:
    if len(node.outputs) != 1 or node.nest.outs[0].fold is not None:
        return False
    applied = [e for e in subexpressions(node.nest.outs[0].body) if isinstance(e, Apply)]
    read = sum(value.type.size for value in set(node.inputs))
    return len(applied) <= PRIMITIVES and node.outputs[0].type.size > read


def _takes(node: Node, value: Value) -> bool:
    """Whether `node` consists of maps that read `value` once, over all of their dims."""
    accesses = [
        read.access for v, read in zip(node.inputs, node.nest.reads, strict=True) if v == value
    ]
    maps = all(out.fold is None for out in node.nest.outs)
    return maps and len(accesses) == 1 and {*accesses[0]} == {Dim(*d) for d in node.nest.dims}
