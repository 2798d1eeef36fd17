"""Choosing among elements."""

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter
from edgetrain.compiler.onnx_io.expansions.registry import column, expands


@expands("argmax")
def argmax(e: Emitter, node: Node, x: str) -> str:
    return e.node("ArgMax", x, axis=0, keepdims=0)


@expands("take")
def take(e: Emitter, node: Node, i: str, x: str) -> str:
    return e.node("Gather", x, i)


@expands("put")
def put(e: Emitter, node: Node, x: str, i: str, row: str) -> str:
    rows, *columns = node.inputs[0].type.shape
    is_row = e.node("Equal", e.integers(*range(rows)), i)
    return e.node("Where", column(e, is_row) if columns else is_row, row, x)
