"""Walks the nodes of a model file in order and hands each to the method for its op."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.onnx_io.file import FileNode, ModelFile, label
from edgetrain.compiler.onnx_io.tensors import Raw

Handler: TypeAlias = Callable[[FileNode, list[Any]], Any]
"""(node, operands; None where one is left out) → the tensor of its first output."""


class Reader:
    """Base of the readers; what a tensor is while reading is theirs, but constants are `Raw`."""

    def __init__(self, file: ModelFile) -> None:
        self.file = file
        self.handlers: dict[str, Handler] = {}

    def walk(self, source: Any) -> Any:
        """The tensor of the model's output, given that of its input."""
        known: dict[str, Any] = {n: Raw(a) for n, a in self.file.constants.items()}
        known[self.file.input] = source
        for node in self.file.nodes:
            operands: list[Any] = []
            for name in node.inputs:
                if name and name not in known:
                    raise node.refuse(
                        f"uses {label(name)} before anything computes it",
                        "sort the nodes; a cycle cannot be compiled",
                    )
                operands.append(known[name] if name else None)
            used = [name for name in node.outputs if name]
            if not used or used[0] in known:
                raise node.refuse("computes nothing new", "give every tensor one name")
            known[used[0]] = self._dispatch(node, operands)
        if self.file.output not in known:
            raise InputError(
                f"output {label(self.file.output)} is never computed", where=self.file.path
            )
        return known[self.file.output]

    def _dispatch(self, node: FileNode, operands: list[Any]) -> Any:
        if node.op == "Constant":
            value = node.attributes.get("value", node.attributes.get("value_float"))
            if isinstance(value, float):
                value = np.array(value, np.float32)
            if not isinstance(value, np.ndarray):
                raise node.refuse("holds no tensor", "use the attribute value")
            return Raw(value)
        handler = self.handlers.get(node.op)
        if handler is None:
            supported = ", ".join(sorted({*self.handlers, "Constant"}))
            raise node.refuse("is not supported", f"supported are {supported}")
        try:
            return handler(node, operands)
        except (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError) as error:
            raise node.refuse(str(error) or "is malformed") from error


def operand(operands: list[Any], position: int) -> Any:
    """The operand at `position`, or None where it is left out."""
    return operands[position] if position < len(operands) else None


def only_float(array: NDArray[Any]) -> NDArray[np.float32]:
    if array.dtype != np.float32:
        raise ValueError(f"a float32 tensor is needed, not {array.dtype}")
    return array


def same_shape(node: FileNode, operands: list[Any]) -> Any:
    """Ops that leave a (batch, features) activation as it is, and a constant but for its shape."""
    tensor = operands[0]
    if tensor is None:
        raise node.refuse("has no operand")
    if isinstance(tensor, Raw) and node.op in ("Flatten", "Reshape"):
        raise node.refuse("reshapes a constant", "store it in its final shape")
    if node.op == "Flatten" and node.attributes.get("axis", 1) != 1:
        raise node.refuse("does not keep the batch axis", "use axis 1")
    if node.op == "Reshape":
        shape = operand(operands, 1)
        if not isinstance(shape, Raw) or shape.array.size != 2:
            raise node.refuse("does not reshape to (batch, features)")
    if node.op == "Cast" and node.attributes.get("to") != 1:
        raise node.refuse("casts to another type than float32")
    return tensor
