"""Collects the nodes and constants of an ONNX graph, and names them."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edgetrain.compiler.types import Float, Scalar, TensorType

DOUBLE = int(TensorProto.DOUBLE)
"""What ONNX calls the type in which integers of 53 bits have exact fractions."""
UNSIGNED_WORD = int(TensorProto.UINT32)
"""For arithmetic modulo 2^32."""


def element_dtype(scalar: Scalar) -> np.dtype[Any]:
    """All integers are INT64 in the file: exact, and every operator that is used has it."""
    return np.dtype(f"float{scalar.bits}" if isinstance(scalar, Float) else np.int64)


def element_type(scalar: Scalar) -> int:
    """What ONNX calls it."""
    return int(helper.np_dtype_to_tensor_dtype(element_dtype(scalar)))


def value_info(name: str, kind: TensorType) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, element_type(kind.scalar), list(kind.shape))


class Emitter:
    """`stem` begins the names of the nodes that are emitted next, and of their results."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.tensors: list[TensorProto] = []
        self.stem = ""
        self._constants: dict[tuple[str, bytes], str] = {}

    def node(self, op: str, *operands: str, **attributes: Any) -> str:
        """The name of the (only) result of the ONNX operator `op`."""
        name = f"{self.stem}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, operands, [name], name=name, **attributes))
        return name

    def number(self, value: float, scalar: Scalar) -> str:
        """A constant of no axis."""
        return self.constant(np.array(value, element_dtype(scalar)))

    def integers(self, *values: int) -> str:
        """A constant vector: axes, indices, a shape."""
        return self.constant(np.array(values, np.int64))

    def constant(self, array: NDArray[Any]) -> str:
        """A constant; equal ones are one."""
        key = (f"{array.dtype}{array.shape}", array.tobytes())
        if key not in self._constants:
            self._constants[key] = f"k{len(self._constants)}"
            self.tensor(self._constants[key], array)
        return self._constants[key]

    def tensor(self, name: str, array: NDArray[Any]) -> None:
        """An initialiser named `name`."""
        self.tensors.append(numpy_helper.from_array(array, name))

    def rename(self, result: str, name: str, since: int) -> None:
        """Call `result` by `name`: the nodes from number `since` on alone know it.  Where none of
        them makes it, `name` is a copy."""
        recent = self.nodes[since:]
        makers = [node for node in recent if node.output[0] == result]
        if not makers:
            self.nodes.append(helper.make_node("Identity", [result], [name], name=name))
            return
        makers[0].output[0] = name
        for node in recent:
            node.input[:] = [name if operand == result else operand for operand in node.input]
