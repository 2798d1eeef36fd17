"""Elementwise arithmetic."""

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter
from edgetrain.compiler.onnx_io.expansions.registry import as_float, at_least, at_most, expands
from edgetrain.compiler.types import Float


@expands("affine")
def affine(e: Emitter, node: Node, x: str, a: str, b: str) -> str:
    return e.node("Add", e.node("Mul", x, a), b)


@expands("mul")
def mul(e: Emitter, node: Node, a: str, b: str) -> str:
    return e.node("Mul", as_float(e, node, 0, a), as_float(e, node, 1, b))


@expands("scale")
def scale(e: Emitter, node: Node, x: str) -> str:
    return e.node("Mul", x, e.number(node.attributes["factor"], node.inputs[0].type.scalar))


@expands("add")
def add(e: Emitter, node: Node, a: str, b: str) -> str:
    return e.node("Add", a, b)


@expands("move")
def move(e: Emitter, node: Node, x: str, by: str) -> str:
    moved, scalar = e.node("Add", x, by), node.inputs[0].type.scalar
    if isinstance(scalar, Float):
        return moved
    lo, hi = (e.number(end, scalar) for end in (scalar.lo, scalar.hi))
    return at_most(e, at_least(e, moved, lo), hi)


@expands("mix")
def mix(e: Emitter, node: Node, a: str, b: str) -> str:
    kind = node.inputs[0].type.scalar
    p, q = (e.number(node.attributes[name], kind) for name in "pq")
    return e.node("Add", e.node("Mul", a, p), e.node("Mul", b, q))


@expands("subtract")
def subtract(e: Emitter, node: Node, a: str, b: str) -> str:
    return e.node("Sub", a, b)


@expands("signum")
def signum(e: Emitter, node: Node, x: str) -> str:
    return e.node("Sign", x)
