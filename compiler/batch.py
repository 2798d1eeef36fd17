"""From the step on one sample to the step on a batch: every nest is lifted over b, mechanically.

What depends on no sample stays as it is.  A gradient over a batch is a fold over b, ascending.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from edgetrain.compiler.expr import Dim, Expr, div, lift, mul
from edgetrain.compiler.graph import Graph, GraphBuilder, Node, Value
from edgetrain.compiler.nest import Fold, Nest, Out, axes, elementwise, fold
from edgetrain.compiler.types import Float, TensorType

BATCH = "b"
"""The name of the dim over the samples."""
LIFTED = "_batch"
"""Ends the name of an op that is done for every sample, or summed over them."""


def over_batch(
    graph: Graph, size: int, summed: Collection[Value], numbers: Collection[Value] = ()
) -> tuple[GraphBuilder, dict[Value, Value]]:
    """A builder with the nodes of `graph` for `size` samples at once, and its values by the old.

    Every input has the samples as first axis, and so has what depends on an input, but for the
    values `summed`, which are the sums over the batch.  `numbers`: constants that stand for the
    number of a sample in its batch, from 0 on.
    """
    b = GraphBuilder(graph.name, finite_inputs=graph.finite_inputs)
    known = {value: b.input(value.name, _batched(value.type, size)) for value in graph.inputs}
    lifted = set(graph.inputs)
    for state in graph.states:
        current = state.current
        known[current] = b.state(current.name, state.initial, current.type.scalar)
    for value, array in graph.constants.items():
        if value in numbers:
            array = np.arange(size)
            lifted.add(value)
        known[value] = b.constant(array, value.type.scalar)
    terms, sums = _terms(graph, summed, lifted)
    nodes = [node for node in graph.nodes if node not in sums]
    used = {value for node in nodes for value in node.inputs}
    leaves = dict.fromkeys(leaf for parts in terms.values() for leaf in parts)
    for node in nodes:
        operands = tuple(known[value] for value in node.inputs)
        nest, op = node.nest, node.op
        if lifted & set(node.inputs):
            nest = lift_nest(nest, [value in lifted for value in node.inputs], size)
            op += LIFTED
            (*_, result) = node.outputs
            if result in leaves.keys() - used and (_spreads(node) or _adds(node)):
                nest = _sum_over_samples(nest)
            else:
                lifted.update(node.outputs)
        results = b.nest(nest, *operands, op=op, **node.attributes)
        known |= dict(zip(node.outputs, results, strict=True))
    for leaf in leaves:
        if leaf in lifted:
            (known[leaf],) = b.nest(_sum(known[leaf].type), known[leaf], op="batch_sum")
    for value, (first, *others) in terms.items():
        known[value] = known[first]
        for other in others:
            known[value] = b.apply("add", known[value], known[other])
    for state in graph.states:
        if state.next != state.current:
            b.update(known[state.current], known[state.next])
    return b, known


def mean(b: GraphBuilder, values: Value) -> Value:
    """The mean of a number of each sample; of integers, which are not negative, rounded down."""
    nest = _sum(values.type)
    (out,) = nest.outs
    size = values.type.size
    body = mul(out.body, 1 / size) if isinstance(out.type, Float) else div(out.body, size)
    out = replace(out, body=body, type=body.type)
    return b.nest(replace(nest, outs=(out,)), values, op="batch_mean")[0]


def lift_nest(nest: Nest, batched: Collection[bool], size: int) -> Nest:
    """`nest` for every sample, over one more dim, the first; `batched` says which reads have it."""
    b = Dim(BATCH, size)
    reads = tuple(
        replace(read, access=(b, *read.access), type=_batched(read.type, size)) if own else read
        for read, own in zip(nest.reads, batched, strict=True)
    )
    outs = tuple(replace(out, dims=(BATCH, *out.dims)) for out in nest.outs)
    return Nest(((BATCH, size), *nest.dims), reads, outs)


def _terms(
    graph: Graph, summed: Collection[Value], lifted: Collection[Value]
) -> tuple[dict[Value, list[Value]], list[Node]]:
    """The values whose sums over the batch make up that of each of `summed`, and the nodes that
    need not add them for each sample, since nothing else reads the result."""
    depending = set(lifted)
    for node in graph.nodes:
        if depending & set(node.inputs):
            depending.update(node.outputs)
    makers = {value: node for node in graph.nodes for value in node.outputs}
    readers = Counter(value for node in graph.nodes for value in node.inputs)
    sums: list[Node] = []

    def terms(value: Value, inner: int) -> list[Value]:
        maker = makers.get(value)
        if maker is None or maker.op != "add" or readers[value] > inner:
            return [value]
        if not depending.issuperset(maker.inputs):
            return [value]
        sums.append(maker)
        return [term for operand in maker.inputs for term in terms(operand, 1)]

    return {value: terms(value, 0) for value in summed}, sums


def _adds(node: Node) -> bool:
    """Whether a node is a sum of floats and no more."""
    (out,) = node.nest.outs
    fold = out.fold
    return (
        fold is not None
        and fold.op == "add"
        and out.body == fold.result
        and fold.init == lift(0.0, fold.type)
    )


def _spreads(node: Node) -> bool:
    """Whether a node is a map of operands of lower rank, as x dᵀ is: then its sum over the batch is
    a fold of products, and the product of a sample has no place of its own."""
    (out,) = node.nest.outs
    ranks = [len(value.type.shape) for value in node.inputs]
    return out.fold is None and max(ranks) < len(out.dims)


def _sum_over_samples(nest: Nest) -> Nest:
    """A lifted map, or sum, as the sum of its elements, or terms, over the batch."""
    (out,) = nest.outs
    dims = (*nest.dims[1:], nest.dims[0])
    total = out.fold or _total(out.body, nest.sizes[BATCH])
    summed = Out(out.name, out.dims[1:], total.type, total.result, total)
    return Nest(dims, nest.reads, (summed,))


def _sum(kind: TensorType) -> Nest:
    """Σ_b x[b, …]."""
    size, *shape = kind.shape
    sample = TensorType(tuple(shape), kind.scalar)
    each = elementwise(axes(shape), lambda x: x, x=sample)
    return _sum_over_samples(lift_nest(each, (True,), size))


def _total(term: Expr, size: int) -> Fold:
    return fold("add", term, lift(0, term.type), size)


def _batched(kind: TensorType, size: int) -> TensorType:
    return TensorType((size, *kind.shape), kind.scalar)
