"""Losses and their gradients."""

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter, element_type
from edgetrain.compiler.onnx_io.expansions.registry import expands, is_label, spread, total
from edgetrain.compiler.types import Float, Scalar


def _picked(e: Emitter, node: Node, label: str, z: str) -> str:
    """z[label], of operands (label, z …)."""
    kind = node.inputs[1].type
    wanted = is_label(e, node, 0, label, kind.shape[-1])
    return total(e, e.node("Where", wanted, z, e.number(0, kind.scalar)))


def _one_hot(e: Emitter, wanted: str, scalar: Scalar) -> str:
    return e.node("Cast", wanted, to=element_type(scalar))


@expands("greatest")
def greatest(e: Emitter, node: Node, z: str, _again: str) -> str:
    return e.node("ReduceMax", z, e.integers(-1), keepdims=0)


@expands("exp_shifted")
def exp_shifted(e: Emitter, node: Node, z: str, m: str) -> str:
    return e.node("Exp", e.node("Sub", z, spread(e, node, 1, m)))


@expands("sum")
def sum_(e: Emitter, node: Node, z: str) -> str:
    return total(e, z)


@expands("cross_entropy")
def cross_entropy(e: Emitter, node: Node, label: str, z: str, m: str, s: str) -> str:
    return e.node("Sub", e.node("Log", s), e.node("Sub", _picked(e, node, label, z), m))


@expands("cross_entropy_gradient")
def cross_entropy_gradient(e: Emitter, node: Node, exps: str, s: str, label: str) -> str:
    kind = node.inputs[0].type
    wanted = _one_hot(e, is_label(e, node, 2, label, kind.shape[-1]), kind.scalar)
    return e.node("Sub", e.node("Div", exps, spread(e, node, 1, s)), wanted)


@expands("squared_error")
def squared_error(e: Emitter, node: Node, z: str, t: str) -> str:
    kind = node.inputs[0].type
    difference = e.node("Sub", z, t)
    squares = total(e, e.node("Mul", difference, difference))
    return e.node("Mul", squares, e.number(1 / kind.shape[-1], kind.scalar))


@expands("squared_error_gradient")
def squared_error_gradient(e: Emitter, node: Node, z: str, t: str) -> str:
    kind = node.inputs[0].type
    return e.node("Mul", e.node("Sub", z, t), e.number(2 / kind.shape[-1], kind.scalar))


def _violations(e: Emitter, node: Node, label: str, z: str) -> str:
    """By how much each class comes too near to the labelled one, 0 for that class itself."""
    kind = node.inputs[1].type
    zero, margin = (e.number(v, kind.scalar) for v in (0, node.attributes.get("margin", 1)))
    picked = spread(e, node, 0, _picked(e, node, label, z))
    excess = e.node("Add", e.node("Sub", z, picked), margin)
    free = e.node("Or", is_label(e, node, 0, label, kind.shape[-1]), e.node("Less", excess, zero))
    return e.node("Where", free, zero, excess)


@expands("hinge")
def hinge(e: Emitter, node: Node, label: str, z: str, _again: str) -> str:
    return total(e, _violations(e, node, label, z))


@expands("hinge_active")
def hinge_active(e: Emitter, node: Node, label: str, z: str, _again: str) -> str:
    scalar = node.inputs[1].type.scalar
    violated = e.node("Greater", _violations(e, node, label, z), e.number(0, scalar))
    return e.node("Cast", violated, to=element_type(scalar))


@expands("hinge_gradient")
def hinge_gradient(e: Emitter, node: Node, label: str, active: str, count: str) -> str:
    wanted = is_label(e, node, 0, label, node.inputs[1].type.shape[-1])
    return e.node("Where", wanted, e.node("Neg", spread(e, node, 2, count)), active)


def _wanted(e: Emitter, node: Node, target: str) -> str:
    """The vector that the outputs' probabilities shall be: the target, or the one-hot label."""
    kind = node.inputs[1].type
    if isinstance(node.inputs[0].type.scalar, Float):
        return target
    return _one_hot(e, is_label(e, node, 0, target, kind.shape[-1]), kind.scalar)


@expands("binary_cross_entropy")
def binary_cross_entropy(e: Emitter, node: Node, target: str, z: str) -> str:
    soft = e.node("Softplus", e.node("Neg", e.node("Abs", z)))
    linear = e.node("Sub", e.node("Relu", z), e.node("Mul", z, _wanted(e, node, target)))
    return total(e, e.node("Add", linear, soft))


@expands("binary_cross_entropy_gradient")
def binary_cross_entropy_gradient(e: Emitter, node: Node, target: str, z: str) -> str:
    return e.node("Sub", e.node("Sigmoid", z), _wanted(e, node, target))
