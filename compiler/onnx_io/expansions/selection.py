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


def _elements(e: Emitter, x: str, start: int, end: int) -> str:
    return e.node("Slice", x, e.integers(start), e.integers(end), e.integers(-1))


@expands("slice")
def slice_op(e: Emitter, node: Node, x: str) -> str:
    start = node.attributes["start"]
    return _elements(e, x, start, start + node.attributes["size"])


@expands("without")
def without(e: Emitter, node: Node, x: str) -> str:
    start, size = node.attributes["start"], node.attributes["size"]
    parts = _elements(e, x, 0, start), _elements(e, x, start + size, node.inputs[0].type.shape[-1])
    return e.node("Concat", *parts, axis=-1)


@expands("splice")
def splice(e: Emitter, node: Node, x: str, part: str) -> str:
    at = node.attributes["at"]
    before, after = _elements(e, x, 0, at), _elements(e, x, at, node.inputs[0].type.shape[-1])
    return e.node("Concat", before, part, after, axis=-1)


@expands("choose")
def choose(e: Emitter, node: Node, ok: str, new: str, old: str) -> str:
    return e.node("Where", e.node("Equal", ok, e.number(1, node.inputs[0].type.scalar)), new, old)
