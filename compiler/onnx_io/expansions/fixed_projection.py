"""Fixed random projections without floats: in the file their matrices are constants."""

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter
from edgetrain.compiler.onnx_io.expansions.projection import drawn
from edgetrain.compiler.onnx_io.expansions.registry import expands
from edgetrain.compiler.types import Int


def _matrix(node: Node, columns: int) -> NDArray[np.int64]:
    """P, (columns, size): transposed."""
    bits: int = node.attributes["bits"]
    return drawn(node, columns) >> 24 - bits


@expands("project_fixed")
def project_fixed(e: Emitter, node: Node, x: str) -> str:
    return e.node("MatMul", x, e.constant(_matrix(node, node.inputs[0].type.shape[-1])))


@expands("project_label_fixed")
def project_label_fixed(e: Emitter, node: Node, label: str) -> str:
    kind = node.inputs[0].type.scalar
    assert isinstance(kind, Int)
    return e.node("Gather", e.constant(_matrix(node, kind.hi + 1)), label)
