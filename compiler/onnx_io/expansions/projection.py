"""Fixed random projections: in the file their matrices are constants."""

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter
from edgetrain.compiler.onnx_io.expansions.random import scrambled
from edgetrain.compiler.onnx_io.expansions.registry import expands
from edgetrain.compiler.types import Int


def drawn(node: Node, columns: int) -> NDArray[np.int64]:
    """P, (columns, size): transposed; in units of 2^-24 of its bound."""
    given, size = node.attributes, node.attributes["size"]
    key = scrambled(given["seed"]) ^ given["stream"]
    of_step = scrambled(scrambled(key))
    bits = [scrambled(scrambled(key ^ i) ^ of_step) for i in range(size * columns)]
    odd = np.array([2 * (word >> 8) + 1 - 2**24 for word in bits], np.int64)
    return odd.reshape(size, columns).T


def _matrix(node: Node, columns: int) -> NDArray[np.float32]:
    bound: float = node.attributes["bound"]
    return drawn(node, columns).astype(np.float32) * np.float32(bound * 2.0**-24)


@expands("project")
def project(e: Emitter, node: Node, x: str) -> str:
    return e.node("MatMul", x, e.constant(_matrix(node, node.inputs[0].type.shape[-1])))


@expands("project_label")
def project_label(e: Emitter, node: Node, label: str) -> str:
    kind = node.inputs[0].type.scalar
    assert isinstance(kind, Int)
    return e.node("Gather", e.constant(_matrix(node, kind.hi + 1)), label)
