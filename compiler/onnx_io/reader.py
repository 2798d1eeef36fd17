"""Walks the nodes of a model file in order and hands each to the method for its op."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.onnx_io.exact import NotExpressibleError
from edgetrain.compiler.onnx_io.file import FileNode, ModelFile, label
from edgetrain.compiler.onnx_io.signatures import check_signature
from edgetrain.compiler.onnx_io.tensors import Raw

Handler: TypeAlias = Callable[[FileNode, list[Any]], Any]
"""(node, operands; None where one is left out) → the tensor of its first output, or a tuple of
those of several."""

_FLOAT32 = 1
"""Of `Cast`, as ONNX counts element types."""


class Reader:
    """Base of the readers; what a tensor is while reading is theirs, but constants are `Raw`."""

    def __init__(self, file: ModelFile) -> None:
        self.file = file
        self.handlers: dict[str, Handler] = {}

    def walk(self, source: Any) -> Any:
        """The tensor of the model's output, given that of its input."""
        return self.walk_all({self.file.input: source})[self.file.output]

    def walk_all(self, sources: Mapping[str, Any]) -> dict[str, Any]:
        """Every tensor, given those of the inputs."""
        known: dict[str, Any] = {n: Raw(a) for n, a in self.file.constants.items()}
        known |= sources
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
            if not used or any(name in known for name in used):
                raise node.refuse("computes nothing new", "give every tensor one name")
            made = self._dispatch(node, operands)
            results = made if isinstance(made, tuple) else (made,)
            pairs = zip(node.outputs, results, strict=False)
            known |= {name: tensor for name, tensor in pairs if name}
        if self.file.output not in known:
            raise InputError(
                f"output {label(self.file.output)} is never computed", where=self.file.path
            )
        return known

    def _dispatch(self, node: FileNode, operands: list[Any]) -> Any:
        handler = _constant if node.op == "Constant" else self.handlers.get(node.op)
        if handler is None:
            supported = ", ".join(sorted({*self.handlers, "Constant"}))
            raise node.refuse("is not supported", f"supported are {supported}")
        check_signature(node)
        try:
            return handler(node, operands)
        except NotExpressibleError as error:
            raise node.refuse(str(error), "quantise between them") from error
        except InputError as error:
            if error.where:
                raise
            raise node.refuse(error.what, error.remedy) from error


def _constant(node: FileNode, operands: list[Any]) -> Raw:
    value = node.attributes.get("value", node.attributes.get("value_float"))
    if value is None:
        raise node.refuse("holds no tensor", "use the attribute value")
    return Raw(np.array(value, np.float32) if isinstance(value, float) else value)


def operand(operands: list[Any], position: int) -> Any:
    """The operand at `position`, or None where it is left out."""
    return operands[position] if position < len(operands) else None


def only_float(node: FileNode, array: NDArray[Any]) -> NDArray[np.float32]:
    if array.dtype != np.float32:
        raise node.refuse(f"has an operand of type {array.dtype}", "store it as float32")
    return array


def permutation(node: FileNode, rank: int) -> tuple[int, ...]:
    """The axes of a Transpose of a constant of `rank` axes."""
    axes = tuple(node.attributes.get("perm", range(rank)[::-1]))
    if sorted(axes) != list(range(rank)):
        raise node.refuse(f"its perm {axes} does not fit {rank} axes")
    return axes


def check_keeps_shape(node: FileNode, operands: list[Any], features: int | None) -> None:
    """Raise InputError unless `node` leaves an activation (batch, features) as it is; `features` is
    None for constants."""
    if features is None and node.op in ("Flatten", "Reshape"):
        raise node.refuse("reshapes a constant", "store it in its final shape")
    if node.op == "Flatten" and node.attributes.get("axis", 1) != 1:
        raise node.refuse("does not keep the batch axis", "use axis 1")
    if node.op == "Reshape" and not _keeps(operands[1], features):
        raise node.refuse("does not reshape to (batch, features)", "use a plain chain of layers")
    if node.op == "Cast" and node.attributes.get("to") != _FLOAT32:
        raise node.refuse("casts to another type than float32", "leave the cast out")


def _keeps(shape: Any, features: int | None) -> bool:
    if not isinstance(shape, Raw) or shape.array.dtype != np.int64 or shape.array.shape != (2,):
        return False
    batch, width = shape.array.tolist()
    # -1 is what remains, which is `features` only where the batch is the same (0) or one.
    return width in (0, features) or (width == -1 and batch in (0, 1))
