"""A network in half precision: the same ops over FLOAT16."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph, Node, Value
from edgetrain.compiler.ops import OPS
from edgetrain.compiler.types import FLOAT16, FLOAT32, Int, TensorType


@dataclass(frozen=True, slots=True)
class HalfPrecision:
    """Every op of a float network on FLOAT16 in place of FLOAT32, its constants rounded once.

    Raises InputError for a quantised network, or a weight that FLOAT16 cannot hold.
    """

    name: str = "half-precision"
    exact: bool = False

    def apply(self, graph: Graph) -> Graph:
        if any(isinstance(value.type.scalar, Int) for value in (*graph.inputs, *graph.constants)):
            raise InputError(
                "a quantised model does not compute in FLOAT16",
                remedy="compile it without fp16, or with --dequantise",
            )
        known = {value: _narrowed(value) for value in (*graph.inputs, *graph.constants)}
        constants = {known[value]: _rounded(array) for value, array in graph.constants.items()}
        nodes = [_node(node, known) for node in graph.nodes]
        return replace(
            graph,
            inputs=tuple(known[v] for v in graph.inputs),
            outputs=tuple(known[v] for v in graph.outputs),
            nodes=tuple(nodes),
            constants=constants,
        )


def narrowed_type(kind: TensorType) -> TensorType:
    """`kind`, with FLOAT16 in place of FLOAT32."""
    return replace(kind, scalar=FLOAT16) if kind.scalar == FLOAT32 else kind


def _narrowed(value: Value) -> Value:
    return replace(value, type=narrowed_type(value.type))


def _node(node: Node, known: dict[Value, Value]) -> Node:
    """`node` over the operands that `known` has, its results added there."""
    operands = tuple(known[v] for v in node.inputs)
    nest = OPS[node.op].meaning(*(v.type for v in operands), **node.attributes)
    results = [
        replace(v, type=nest.out_type(o)) for v, o in zip(node.outputs, nest.outs, strict=True)
    ]
    known |= dict(zip(node.outputs, results, strict=True))
    return replace(node, nest=nest, inputs=operands, outputs=tuple(results))


def _rounded(array: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        rounded = array.astype(np.float16)
    lost = np.isfinite(array) & ~np.isfinite(rounded)
    if lost.any():
        raise InputError(
            f"a weight is {float(array[lost][0])!r}, the greatest FLOAT16 is 65504",
            remedy="compile it with --precision fp32",
        )
    return rounded
