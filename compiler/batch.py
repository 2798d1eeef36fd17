"""From the step on one sample to the step on a batch: every nest is lifted over b, mechanically.

What depends on no sample stays as it is.  A gradient over a batch is a fold over b, ascending.
"""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from edgetrain.compiler.expr import Dim, Expr, lift, mul
from edgetrain.compiler.graph import Graph, GraphBuilder, Node, Value
from edgetrain.compiler.nest import Fold, Nest, axes, elementwise, fold
from edgetrain.compiler.types import TensorType

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
    used = [value for node in graph.nodes for value in node.inputs]
    for node in graph.nodes:
        operands = tuple(known[value] for value in node.inputs)
        nest, op = node.nest, node.op
        if lifted & set(node.inputs):
            nest = lift_nest(nest, [value in lifted for value in node.inputs], size)
            op += LIFTED
            (*_, result) = node.outputs
            if result in summed and result not in used and _spreads(node):
                nest = _sum_of_map(nest)
            else:
                lifted.update(node.outputs)
        results = b.nest(nest, *operands, op=op, **node.attributes)
        known |= dict(zip(node.outputs, results, strict=True))
    for value in summed:
        if value in lifted:
            (known[value],) = b.nest(_sum(known[value].type), known[value], op="batch_sum")
    for state in graph.states:
        if state.next != state.current:
            b.update(known[state.current], known[state.next])
    return b, known


def mean(b: GraphBuilder, values: Value) -> Value:
    """The mean of a number of each sample."""
    nest = _sum(values.type)
    (out,) = nest.outs
    body = mul(out.body, 1 / values.type.size)
    return b.nest(replace(nest, outs=(replace(out, body=body),)), values, op="batch_mean")[0]


def lift_nest(nest: Nest, batched: Collection[bool], size: int) -> Nest:
    """`nest` for every sample, over one more dim, the first; `batched` says which reads have it."""
    b = Dim(BATCH, size)
    reads = tuple(
        replace(read, access=(b, *read.access), type=_batched(read.type, size)) if own else read
        for read, own in zip(nest.reads, batched, strict=True)
    )
    outs = tuple(replace(out, dims=(BATCH, *out.dims)) for out in nest.outs)
    return Nest(((BATCH, size), *nest.dims), reads, outs)


def _spreads(node: Node) -> bool:
    """Whether a node is a map of operands of lower rank, as x dᵀ is: then its sum over the batch is
    a fold of products, and the product of a sample has no place of its own."""
    (out,) = node.nest.outs
    ranks = [len(value.type.shape) for value in node.inputs]
    return out.fold is None and max(ranks) < len(out.dims)


def _sum_of_map(nest: Nest) -> Nest:
    """A lifted map as the fold of its elements over the batch."""
    (out,) = nest.outs
    dims = (*nest.dims[1:], nest.dims[0])
    total = _total(out.body, nest.sizes[BATCH])
    return Nest(dims, nest.reads, (replace(out, dims=out.dims[1:], body=total.result, fold=total),))


def _sum(kind: TensorType) -> Nest:
    """Σ_b x[b, …]."""
    size, *shape = kind.shape
    sample = TensorType(tuple(shape), kind.scalar)
    each = elementwise(axes(shape), lambda x: x, x=sample)
    return _sum_of_map(lift_nest(each, (True,), size))


def _total(term: Expr, size: int) -> Fold:
    return fold("add", term, lift(0, term.type), size)


def _batched(kind: TensorType, size: int) -> TensorType:
    return TensorType((size, *kind.shape), kind.scalar)
