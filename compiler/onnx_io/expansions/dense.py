"""Fully connected layers."""

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter
from edgetrain.compiler.onnx_io.expansions.registry import as_float, column, expands


@expands("matmul")
def matmul(e: Emitter, node: Node, x: str, w: str, b: str | None = None) -> str:
    product = e.node("MatMul", x, w)
    return product if b is None else e.node("Add", product, b)


@expands("matmul_t")
def matmul_t(e: Emitter, node: Node, d: str, w: str) -> str:
    return e.node("MatMul", d, e.node("Transpose", as_float(e, node, 1, w)))


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
