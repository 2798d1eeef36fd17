"""Fully connected layers."""

import numpy as np

from edgetrain.compiler.graph import Node
from edgetrain.compiler.learnable import powers_of
from edgetrain.compiler.onnx_io.emitter import Emitter
from edgetrain.compiler.onnx_io.expansions.registry import as_float, column, expands
from edgetrain.compiler.types import Int


@expands("matmul")
def matmul(e: Emitter, node: Node, x: str, w: str, b: str | None = None) -> str:
    w = integer_weights(e, node, 1, w)
    product = e.node("MatMul", x, w)
    return product if b is None else e.node("Add", product, b)


def integer_weights(e: Emitter, node: Node, operand: int, w: str) -> str:
    """The weights, of which the operand may be codes of powers of two."""
    codes = node.inputs[operand].type.scalar
    if not node.attributes.get("powers", False):
        return w
    assert isinstance(codes, Int)
    table = powers_of(np.arange(codes.lo, codes.hi + 1)).tolist()
    return e.node("Gather", e.integers(*table), e.node("Sub", w, e.number(codes.lo, codes)))


@expands("matmul_t")
def matmul_t(e: Emitter, node: Node, d: str, w: str) -> str:
    w = as_float(e, node, 1, integer_weights(e, node, 1, w))
    return e.node("MatMul", d, e.node("Transpose", w))


@expands("outer")
def outer(e: Emitter, node: Node, x: str, d: str) -> str:
    row = e.node("Unsqueeze", d, e.integers(-2))
    return e.node("Mul", column(e, as_float(e, node, 0, x)), row)
    return e.node("Mul", column(e, x), row)


@expands("matmul_rows")
def matmul_rows(e: Emitter, node: Node, x: str, w: str) -> str:
    return e.node("MatMul", x, w)


@expands("outer_sum")
def outer_sum(e: Emitter, node: Node, x: str, d: str) -> str:
    return e.node("Einsum", x, d, equation="...jk,...jn->...kn")
