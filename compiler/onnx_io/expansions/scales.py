"""Gradients by the steps of weights."""

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter, element_type
from edgetrain.compiler.onnx_io.expansions.dense import integer_weights
from edgetrain.compiler.onnx_io.expansions.registry import expands
from edgetrain.compiler.types import FLOAT32


@expands("scale_gradient")
def scale_gradient(e: Emitter, node: Node, x: str, d: str, v: str, w: str, p: str) -> str:
    def real(name: str) -> str:
        return e.node("Cast", name, to=element_type(FLOAT32))

    def number(name: str) -> str:
        return e.number(float(node.attributes[name]), FLOAT32)

    steps = e.node("Mul", e.node("Mul", real(v), number("unit")), p)
    level = real(integer_weights(e, node, 3, w))
    above, below = e.node("Less", number("lo"), steps), e.node("Less", steps, number("hi"))
    slope = e.node("Where", e.node("And", above, below), e.node("Sub", level, steps), level)
    return e.node("Mul", d, e.node("MatMul", real(x), slope))
