"""Choosing the greatest elements of a gradient."""

import numpy as np

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter, element_type
from edgetrain.compiler.onnx_io.expansions.registry import column, expands, spread, total
from edgetrain.compiler.types import Int


@expands("magnitude")
def magnitude(e: Emitter, node: Node, d: str) -> str:
    kind = node.inputs[0].type.scalar
    if isinstance(kind, Int):
        return e.node("Abs", d)
    infinity = e.number(np.inf, kind)
    return e.node("Where", e.node("IsNaN", d), infinity, e.node("Abs", d))


@expands("rank")
def rank(e: Emitter, node: Node, a: str, _again: str) -> str:
    size = node.inputs[0].type.shape[-1]
    this, other = column(e, a), e.node("Unsqueeze", a, e.integers(-2))
    lower = e.constant(np.tri(size, k=-1, dtype=bool))
    tied = e.node("And", e.node("Equal", this, other), lower)
    before = e.node("Or", e.node("Less", this, other), tied)
    return total(e, e.node("Cast", before, to=element_type(Int(0, size))))


@expands("keep")
def keep(e: Emitter, node: Node, d: str, ranks: str, count: str | None = None) -> str:
    limit = spread(e, node, 2, count) if count else e.integers(node.attributes["most"])
    zero = e.number(0, node.inputs[0].type.scalar)
    return e.node("Where", e.node("Less", ranks, limit), d, zero)


@expands("count_share")
def count_share(e: Emitter, node: Node, y: str, most_y: str) -> str:
    given, kind = node.attributes, node.inputs[0].type.scalar
    share = e.node("Mul", e.node("Div", y, most_y), e.number(given["most"] - given["least"], kind))
    share = e.node("Add", share, e.number(given["least"], kind))
    wanted = e.node("Add", e.node("Mul", share, e.number(given["size"], kind)), e.number(0.5, kind))
    # Held before it becomes an integer, so that NaN does too.
    held = e.node("Where", e.node("IsNaN", wanted), e.number(0, kind), e.node("Floor", wanted))
    held = e.node("Clip", held, e.number(1, kind), e.number(given["size"], kind))
    return e.node("Cast", held, to=element_type(Int(1, given["size"])))


@expands("larger")
def larger(e: Emitter, node: Node, a: str, b: str) -> str:
    return e.node("Where", e.node("Less", a, b), b, a)
