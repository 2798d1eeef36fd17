"""Gradients at compile time, as ordinary nodes: each op's own, chained backwards."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import GraphBuilder, Node, Value
from edgetrain.compiler.ops import OPS


def differentiate(
    b: GraphBuilder,
    nodes: Sequence[Node],
    seeds: Mapping[Value, Value],
    wrt: Collection[Value],
    remembered: Callable[[Value], Value] = lambda value: value,
) -> dict[Value, Value]:
    """The gradient of each of `wrt`, appended to `b`.

    `nodes` are the forward nodes in order, `seeds` the gradients of their ends.  No gradient is
    computed that none of `wrt` needs.  What a gradient reads of the forward pass is `remembered`.
    Raises InputError for an op without a gradient.
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
        backward = OPS[node.op].gradient
        if backward is None:
            raise InputError(
                f"op {node.op} has no gradient", remedy="learn only the layers behind it"
            )
        needed = tuple(value in depends for value in node.inputs)
        inputs, outputs = (tuple(map(remembered, vs)) for vs in (node.inputs, node.outputs))
        recalled = replace(node, inputs=inputs, outputs=outputs)
        parts = backward(b, recalled, gradients[result], needed)
        for value, part, wanted in zip(node.inputs, parts, needed, strict=True):
            if wanted and part is not None:
                known = gradients.get(value)
                gradients[value] = part if known is None else b.apply("add", known, part)
    return {value: gradients[value] for value in wrt if value in gradients}
