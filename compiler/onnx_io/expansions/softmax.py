"""Probabilities of classes."""

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter
from edgetrain.compiler.onnx_io.expansions.registry import expands, spread, total


@expands("divide_by")
def divide_by(e: Emitter, node: Node, x: str, s: str) -> str:
    return e.node("Div", x, spread(e, node, 1, s))


@expands("dot")
def dot(e: Emitter, node: Node, a: str, b: str) -> str:
    return total(e, e.node("Mul", a, b))


@expands("softmax_gradient")
def softmax_gradient(e: Emitter, node: Node, p: str, d: str, s: str) -> str:
    return e.node("Mul", p, e.node("Sub", d, spread(e, node, 2, s)))
