"""Computes the operand of a fold where the fold reads it, so that it is never stored."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from edgetrain.compiler.expr import Dim, Expr, subexpressions, substitute
from edgetrain.compiler.graph import Graph, Node, Value
from edgetrain.compiler.nest import Nest, Out, Read
from edgetrain.compiler.passes.base import stored_bytes
from edgetrain.compiler.types import Float


@dataclass(frozen=True, slots=True)
class FuseIntoFold:
    """A map that one fold alone reads is computed within the fold, where it takes more bytes than
    what it is made of, apart from what is stored anyway: inputs, constants and states.

    An element that the fold reads several times is computed as often; so then the map must also
    take more bytes than all that the fold reads and makes besides.

    Exact: the same primitives on the same numbers.
    """

    name: str = "fuse-into-fold"
    exact: bool = True

    def apply(self, graph: Graph) -> Graph:
        kept = graph.kept
        lasting = graph.lasting
        nodes = list(graph.nodes)
        for producer in graph.nodes:
            (result, *more) = producer.outputs
            readers = [node for node in nodes if result in node.inputs]
            if more or result in kept or len(readers) != 1 or producer.nest.outs[0].fold:
                continue
            (consumer,) = readers
            use = _only_use(consumer, result)
            if use is None:
                continue
            read, dims = use
            made_of = set(producer.inputs) - lasting
            if stored_bytes([result]) <= stored_bytes(made_of):
                continue
            beside = {*consumer.inputs, *consumer.outputs} - {result}
            if set(read.access) == dims or stored_bytes([result]) > stored_bytes(beside | made_of):
                fused = _fuse(producer, consumer, read)
                if fused is not None:
                    nodes[nodes.index(consumer)] = fused
                    nodes.remove(producer)
        return graph.with_nodes(nodes, graph.constants)


def _only_use(node: Node, value: Value) -> tuple[Read, set[Dim]] | None:
    """How `node` reads `value`, and the dims of the loops in which it computes with it; None where
    it is no fold, or uses it in several expressions or as an index."""
    nest = node.nest
    reads = [r for r, v in zip(nest.reads, node.inputs, strict=True) if v == value]
    if len(reads) != 1 or any(out.fold is None for out in nest.outs):
        return None
    (read,) = reads
    used = [dims for expr, dims in _expressions(nest) if read.value in subexpressions(expr)]
    indices = [index for other in nest.reads for index in other.access]
    if len(used) != 1 or any(read.value in subexpressions(index) for index in indices):
        return None
    return read, {Dim(name, nest.sizes[name]) for name in used[0]}


def _expressions(nest: Nest) -> Iterator[tuple[Expr, Collection[str]]]:
    """All that is computed, and over which dims."""
    for out in nest.outs:
        yield out.body, out.dims
        if out.fold is not None:
            yield out.fold.init, out.dims
            yield out.fold.term, nest.sizes


def _fuse(producer: Node, consumer: Node, read: Read) -> Node | None:
    """Both in one node; None where a product would become the term of a sum of floats, whose
    contract then leaves out its rounding."""
    (out,) = producer.nest.outs
    theirs: dict[Expr, Expr] = {
        Dim(name, producer.nest.sizes[name]): place
        for name, place in zip(out.dims, read.access, strict=True)
    }
    reads = []
    for each in producer.nest.reads:
        access = tuple(substitute(place, theirs) for place in each.access)
        reads.append(replace(each, local=f"{read.local}_{each.local}", access=access))
        theirs[each.value] = reads[-1].value
    ours: dict[Expr, Expr] = {read.value: substitute(out.body, theirs)}
    outs = tuple(_with(o, ours) for o in consumer.nest.outs)
    if [_product(out) for out in outs] != [_product(out) for out in consumer.nest.outs]:
        return None
    at = consumer.nest.reads.index(read)
    nest = Nest(
        consumer.nest.dims,
        (*consumer.nest.reads[:at], *reads, *consumer.nest.reads[at + 1 :]),
        outs,
    )
    inputs = (*consumer.inputs[:at], *producer.inputs, *consumer.inputs[at + 1 :])
    return Node(consumer.op, nest, inputs, consumer.outputs)


def _with(out: Out, replacing: dict[Expr, Expr]) -> Out:
    """`out` with nodes of its expressions replaced."""
    fold = out.fold
    assert fold is not None
    term, init = (substitute(expr, replacing) for expr in (fold.term, fold.init))
    fold = replace(fold, term=term, init=init)
    return replace(out, body=substitute(out.body, replacing), fold=fold)


def _product(out: Out) -> bool:
    """Whether `out` sums products of floats."""
    fold = out.fold
    return fold is not None and fold.factors != () and isinstance(fold.type, Float)
