"""Computes a map inside the map that alone reads it, so that nothing between them is stored."""

from dataclasses import dataclass, replace

from edgetrain.compiler.expr import Dim, Expr, Local, subexpressions, substitute
from edgetrain.compiler.graph import Graph, Node
from edgetrain.compiler.nest import Nest, Read


@dataclass(frozen=True, slots=True)
class FuseMaps:
    """A map of one result that one map over the same dims reads, element by element, goes into it.

    Exact: the same primitives on the same numbers.
    """

    name: str = "fuse-maps"
    exact: bool = True

    def apply(self, graph: Graph) -> Graph:
        kept = {*graph.outputs, *(state.next for state in graph.states)}
        nodes = list(graph.nodes)
        for producer in graph.nodes:
            (result, *more) = producer.outputs
            readers = [node for node in nodes if result in node.inputs]
            if more or result in kept or len(readers) != 1:
                continue
            consumer = readers[0]
            fused = _fuse(producer, consumer)
            if fused is not None:
                nodes[nodes.index(consumer)] = fused
                nodes.remove(producer)
        return graph.with_nodes(nodes, graph.constants)


def _fuse(producer: Node, consumer: Node) -> Node | None:
    """`consumer` with `producer` inside, or None where they do not fit."""
    (out,) = producer.nest.outs
    position = consumer.inputs.index(producer.outputs[0])
    read = consumer.nest.reads[position]
    maps = out.fold is None and all(o.fold is None for o in consumer.nest.outs)
    same_space = set(read.access) == {Dim(*d) for d in consumer.nest.dims}
    if not maps or not same_space or consumer.inputs.count(producer.outputs[0]) != 1:
        return None
    inner: dict[Expr, Expr] = {
        Dim(name, producer.nest.sizes[name]): index
        for name, index in zip(out.dims, read.access, strict=True)
    }
    reads: list[Read] = []
    for each in producer.nest.reads:
        access = tuple(substitute(index, inner) for index in each.access)
        reads.append(replace(each, local=f"{read.local}_{each.local}", access=access))
        inner[each.value] = reads[-1].value
    outer: dict[Expr, Expr] = {Local(read.local, read.type.scalar): substitute(out.body, inner)}
    if any(read.value in subexpressions(i) for r in consumer.nest.reads for i in r.access):
        return None
    nest = Nest(
        consumer.nest.dims,
        (*consumer.nest.reads[:position], *consumer.nest.reads[position + 1 :], *reads),
        tuple(replace(o, body=substitute(o.body, outer)) for o in consumer.nest.outs),
    )
    inputs = (*consumer.inputs[:position], *consumer.inputs[position + 1 :], *producer.inputs)
    return Node(consumer.op, nest, inputs, consumer.outputs)
