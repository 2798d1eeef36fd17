"""What a step keeps of the activations for its backward pass: all of it, or few bits."""

from dataclasses import dataclass

from edgetrain.compiler.graph import GraphBuilder, Node, Value
from edgetrain.compiler.ops.saved import codes
from edgetrain.compiler.types import Float

SAVED = ("int8", "int4", "int2")
"""Kinds of activations in few bits."""
_NEVER_NEGATIVE = {"relu", "sigmoid"}


@dataclass(frozen=True)
class Saved:
    """The numbers `value` as `codes`, of which `greatest` is the greatest size."""

    value: Value
    codes: Value
    greatest: Value

    def restored(self, b: GraphBuilder) -> Value:
        """What the codes tell of the numbers."""
        return b.apply("restore", self.codes, self.greatest, to=self.value.type.scalar)


def save(b: GraphBuilder, node: Node, kind: str) -> dict[Value, Saved]:
    """What is kept of the results of `node`, a node of `b`: of vectors of floats `kind`, with one
    scale, of others nothing."""
    within = codes(int(kind.removeprefix("int")), signed=node.op not in _NEVER_NEGATIVE)
    kept = {}
    for value in node.outputs:
        if isinstance(value.type.scalar, Float) and value.type.shape:
            greatest = b.apply("greatest_size", value)
            kept[value] = Saved(value, b.apply("save", value, greatest, within=within), greatest)
    return kept
