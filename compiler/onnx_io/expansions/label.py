"""Class labels among numbers."""

import numpy as np

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter
from edgetrain.compiler.onnx_io.expansions.registry import expands, is_label


@expands("plus_label")
def plus_label(e: Emitter, node: Node, label: str, x: str) -> str:
    kind = node.inputs[1].type
    wanted = is_label(e, node, 0, label, kind.shape[-1])
    numbers = e.number(node.attributes["factor"], kind.scalar), e.number(0, kind.scalar)
    return e.node("Add", x, e.node("Where", wanted, *numbers))


@expands("with_label")
def with_label(e: Emitter, node: Node, label: str, x: str) -> str:
    kind, classes = node.inputs[1].type, node.attributes["classes"]
    slots = e.constant(np.arange(kind.shape[-1]) < classes)
    rest = e.node("Where", slots, e.number(0, kind.scalar), x)
    wanted = is_label(e, node, 0, label, kind.shape[-1])
    return e.node("Where", wanted, e.number(1, kind.scalar), rest)
