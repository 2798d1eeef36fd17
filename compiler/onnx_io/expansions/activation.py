"""Activation functions."""

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter
from edgetrain.compiler.onnx_io.expansions.registry import at_least, expands
from edgetrain.compiler.types import Float


@expands("relu")
def relu(e: Emitter, node: Node, x: str) -> str:
    scalar = node.inputs[0].type.scalar
    # onnxruntime has no Relu of INT64.
    return e.node("Relu", x) if isinstance(scalar, Float) else at_least(e, x, e.number(0, scalar))


@expands("relu_gradient")
def relu_gradient(e: Emitter, node: Node, y: str, d: str) -> str:
    zero = e.number(0, node.inputs[0].type.scalar)
    return e.node("Where", e.node("Greater", y, zero), d, zero)


@expands("leaky_relu")
def leaky_relu(e: Emitter, node: Node, x: str) -> str:
    return e.node("LeakyRelu", x, alpha=node.attributes["slope"])


@expands("leaky_relu_gradient")
def leaky_relu_gradient(e: Emitter, node: Node, y: str, d: str) -> str:
    scalar = node.inputs[0].type.scalar
    bent = e.node("Mul", d, e.number(node.attributes["slope"], scalar))
    return e.node("Where", e.node("Less", y, e.number(0, scalar)), bent, d)


@expands("sigmoid")
def sigmoid(e: Emitter, node: Node, x: str) -> str:
    return e.node("Sigmoid", x)


@expands("sigmoid_gradient")
def sigmoid_gradient(e: Emitter, node: Node, y: str, d: str) -> str:
    rest = e.node("Sub", e.number(1, node.inputs[0].type.scalar), y)
    return e.node("Mul", d, e.node("Mul", y, rest))


@expands("tanh")
def tanh(e: Emitter, node: Node, x: str) -> str:
    return e.node("Tanh", x)


@expands("tanh_gradient")
def tanh_gradient(e: Emitter, node: Node, y: str, d: str) -> str:
    one = e.number(1, node.inputs[0].type.scalar)
    return e.node("Mul", d, e.node("Sub", one, e.node("Mul", y, y)))
