"""Gradients at compile time, as ordinary nodes: each op's own, chained backwards."""

from collections.abc import Callable, Collection, Mapping, Sequence

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import GraphBuilder, Node, Value
from edgetrain.compiler.ops import OPS

Backward = Callable[[GraphBuilder, Node, Value, tuple[bool, ...]], Sequence[Value | None]]
"""(builder, node, gradient of its result, which operands need one) → the gradients of its
operands."""


def backward(
    b: GraphBuilder, node: Node, d: Value, needed: tuple[bool, ...]
) -> Sequence[Value | None]:
    """As the op of `node` has it.  Raises InputError for an op without a gradient."""
    gradient = OPS[node.op].gradient
    if gradient is None:
        raise InputError(f"op {node.op} has no gradient", remedy="learn only the layers behind it")
    return gradient(b, node, d, needed)


def differentiate(
    b: GraphBuilder,
    nodes: Sequence[Node],
    seeds: Mapping[Value, Value],
    wrt: Collection[Value],
    through: Backward = backward,
) -> dict[Value, Value]:
    """The gradient of each of `wrt`, appended to `b`.

    `nodes` are the forward nodes in order, `seeds` the gradients of their ends, `through` leads
    through a node.  No gradient is computed that none of `wrt` needs.
    """
    depends = set(wrt)
    for node in nodes:
        if depends & set(node.inputs):
            depends.update(node.outputs)
    gradients = dict(seeds)
    for node in reversed(nodes):
        (result,) = node.outputs
        if result not in gradients or result not in depends:
            continue
        needed = tuple(value in depends for value in node.inputs)
        parts = through(b, node, gradients[result], needed)
        for value, part, wanted in zip(node.inputs, parts, needed, strict=True):
            if wanted and part is not None:
                known = gradients.get(value)
                gradients[value] = part if known is None else b.apply("add", known, part)
    return {value: gradients[value] for value in wrt if value in gradients}
