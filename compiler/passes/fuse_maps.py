"""Computes a map where its operand is made, so that nothing between them is stored."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgetrain.compiler.expr import Dim, Expr, Local, subexpressions, substitute
from edgetrain.compiler.graph import Graph, Node
from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.nest import Nest, Read
from edgetrain.compiler.passes.base import narrows
from edgetrain.compiler.types import Int, Scalar


@dataclass(frozen=True, slots=True)
class FuseMaps:
    """What one map alone reads, element by element over the same dims, is computed within it: a
    map becomes a part of its expression, a fold takes it as its epilogue.  Not so where less would
    be stored while other nodes run than what it is made of.

    Exact: the same primitives on the same numbers.
    """

    name: str = "fuse-maps"
    exact: bool = True

    def apply(self, graph: Graph) -> Graph:
        kept = graph.kept
        lasting = graph.lasting
        nodes = list(graph.nodes)
        pending = list(graph.nodes)
        while pending:
            producer = pending.pop(0)
            (result, *more) = producer.outputs
            readers = [node for node in nodes if result in node.inputs]
            if more or result in kept or len(readers) != 1:
                continue
            consumer = readers[0]
            waits = nodes.index(consumer) > nodes.index(producer) + 1
            if waits and producer.nest.outs[0].fold is None and narrows(producer, lasting):
                continue
            fused = _fuse(producer, consumer)
            if fused is not None:
                nodes[nodes.index(consumer)] = fused
                nodes.remove(producer)
                pending = [fused if node is consumer else node for node in pending]
        return graph.with_nodes(nodes, graph.constants)


def _fuse(producer: Node, consumer: Node) -> Node | None:
    """Both in one node, or None where they do not fit."""
    (out,) = producer.nest.outs
    position = consumer.inputs.index(producer.outputs[0])
    read = consumer.nest.reads[position]
    maps = all(o.fold is None for o in consumer.nest.outs)
    same_space = {*read.access} == {Dim(*d) for d in consumer.nest.dims}
    if not maps or not same_space or consumer.inputs.count(producer.outputs[0]) != 1:
        return None
    if any(read.value in subexpressions(i) for r in consumer.nest.reads for i in r.access):
        return None
    theirs: dict[Expr, Expr] = {
        index: Dim(name, producer.nest.sizes[name])
        for name, index in zip(out.dims, read.access, strict=True)
    }
    local = read.local
    reads = [_moved(each, f"{local}_{each.local}", {}) for each in producer.nest.reads]
    ours: dict[Expr, Expr] = {
        old.value: new.value for old, new in zip(producer.nest.reads, reads, strict=True)
    }
    reads = [replace(r, access=tuple(substitute(index, ours) for index in r.access)) for r in reads]
    theirs[Local(local, read.type.scalar)] = substitute(out.body, ours)
    others = [r for i, r in enumerate(consumer.nest.reads) if i != position]
    fold = out.fold
    if fold is not None:
        if len(consumer.nest.outs) != 1 or not _ends(fold.type, consumer.nest.outs[0].type):
            return None
        fold = replace(fold, term=substitute(fold.term, ours), init=substitute(fold.init, ours))
    nest = Nest(
        producer.nest.dims,
        (*(_moved(r, r.local, theirs) for r in others), *reads),
        tuple(
            replace(
                o,
                dims=tuple(_name(theirs[Dim(d, consumer.nest.sizes[d])]) for d in o.dims),
                body=substitute(o.body, theirs),
                fold=fold,
            )
            for o in consumer.nest.outs
        ),
    )
    inputs = tuple(v for i, v in enumerate(consumer.inputs) if i != position)
    return Node(consumer.op, nest, (*inputs, *producer.inputs), consumer.outputs)


def _ends(fold: Scalar, epilogue: Scalar) -> bool:
    """Whether an epilogue of this type is worth it: one of another type keeps a vector unit from
    the whole fold, but spares memory where a sum of integers becomes narrower."""
    return fold == epilogue or (
        isinstance(fold, Int)
        and isinstance(epilogue, Int)
        and storage_dtype(epilogue).itemsize < storage_dtype(fold).itemsize
    )


def _moved(read: Read, local: str, replacing: Mapping[Expr, Expr]) -> Read:
    return replace(
        read, local=local, access=tuple(substitute(index, replacing) for index in read.access)
    )


def _name(expr: Expr) -> str:
    assert isinstance(expr, Dim)
    return expr.name
