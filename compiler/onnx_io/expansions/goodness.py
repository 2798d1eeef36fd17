"""How much a layer is excited."""

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter
from edgetrain.compiler.onnx_io.expansions.registry import expands, total
from edgetrain.compiler.ops.goodness import LEAST_LENGTH
from edgetrain.compiler.types import FLOAT32


@expands("square_sum")
def square_sum(e: Emitter, node: Node, x: str) -> str:
    return total(e, e.node("Mul", x, x))


@expands("inverse_length")
def inverse_length(e: Emitter, node: Node, s: str) -> str:
    length = e.node("Add", e.node("Sqrt", s), e.number(LEAST_LENGTH, FLOAT32))
    return e.node("Reciprocal", length)


def _threshold(e: Emitter, node: Node) -> str:
    return e.number(node.attributes["threshold"], FLOAT32)


@expands("contrast")
def contrast(e: Emitter, node: Node, good: str, bad: str) -> str:
    limit = _threshold(e, node)
    parts = e.node("Sub", limit, good), e.node("Sub", bad, limit)
    return e.node("Add", *(e.node("Softplus", part) for part in parts))


@expands("contrast_slope")
def contrast_slope(e: Emitter, node: Node, g: str) -> str:
    limit, good = _threshold(e, node), node.attributes["good"]
    beyond = e.node("Sub", limit, g) if good else e.node("Sub", g, limit)
    return e.node("Mul", e.node("Sigmoid", beyond), e.number(-2.0 if good else 2.0, FLOAT32))
