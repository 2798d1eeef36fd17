"""Float ONNX MLPs: layers and activations in FLOAT32, as the file has them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph, GraphBuilder, Value
from edgetrain.compiler.interface import InputCode, OutputCode
from edgetrain.compiler.onnx_io.file import FileNode, ModelFile
from edgetrain.compiler.onnx_io.reader import Reader, check_keeps_shape, only_float, operand
from edgetrain.compiler.onnx_io.tensors import Raw, check_vector
from edgetrain.compiler.types import FLOAT32, TensorType


class FloatReader(Reader):
    """Reads one file into a graph of floats."""

    def __init__(self, file: ModelFile) -> None:
        super().__init__(file)
        self.builder = GraphBuilder("infer")
        self.source: Value | None = None
        self.handlers = {
            "Gemm": self._gemm,
            "MatMul": self._matmul,
            "Add": self._add,
            "BatchNormalization": self._batch_norm,
            "Relu": lambda node, o: self.builder.apply("relu", activation(node, o[0])),
            "Sigmoid": lambda node, o: self.builder.apply("sigmoid", activation(node, o[0])),
            "Tanh": lambda node, o: self.builder.apply("tanh", activation(node, o[0])),
            "LeakyRelu": self._leaky,
            "Identity": self._keep,
            "Dropout": self._keep,
            "Flatten": self._keep,
            "Reshape": self._keep,
            "Cast": self._keep,
        }

    def read(self) -> tuple[Graph, InputCode, OutputCode]:
        """The graph of the entry `infer`, and what its input and output mean."""
        kind = TensorType((self.file.features,), FLOAT32)
        self.source = self.builder.input("x", kind)
        result = self.walk(self.source)
        if not isinstance(result, Value) or result == self.source:
            raise InputError("the model computes nothing", where=self.file.path)
        self.builder.output("y", result)
        return self.builder.build(), InputCode(kind), OutputCode(result.type)

    def _matmul(self, node: FileNode, operands: list[Value | Raw | None]) -> Value:
        return self._linear(node, operands[0], constant(node, operands[1]), None)

    def _gemm(self, node: FileNode, operands: list[Value | Raw | None]) -> Value:
        attributes = node.attributes
        if attributes.get("transA", 0) or attributes.get("alpha", 1.0) != 1.0:
            raise node.refuse("transA and alpha are not supported")
        weights = constant(node, operands[1])
        if attributes.get("transB", 0):
            weights = weights.T
        bias = operand(operands, 2)
        if bias is None:
            return self._linear(node, operands[0], weights, None)
        if attributes.get("beta", 1.0) != 1.0:
            raise node.refuse("beta is not supported", "scale the bias itself")
        return self._linear(node, operands[0], weights, constant(node, bias))

    def _linear(
        self,
        node: FileNode,
        x: Value | Raw | None,
        weights: NDArray[np.float32],
        bias: NDArray[np.float32] | None,
    ) -> Value:
        source = activation(node, x)
        if weights.ndim != 2 or weights.shape[0] != source.type.size:
            raise node.refuse(f"weights {weights.shape} do not fit {source.type.size} inputs")
        operands = [source, self.builder.constant(np.ascontiguousarray(weights))]
        if bias is not None:
            operands.append(self.builder.constant(vector(node, bias, weights.shape[1])))
        return self.builder.apply("matmul", *operands)

    def _add(self, node: FileNode, operands: list[Value | Raw | None]) -> Value:
        left, right = operands
        if isinstance(left, Raw):
            left, right = right, left
        x = activation(node, left)
        bias = vector(node, constant(node, right), x.type.size)
        ones = self.builder.constant(np.ones(x.type.size, np.float32))
        return self.builder.apply("affine", x, ones, self.builder.constant(bias))

    def _batch_norm(self, node: FileNode, operands: list[Value | Raw | None]) -> Value:
        x = activation(node, operands[0])
        if node.attributes.get("training_mode", 0):
            raise node.refuse("is in training mode", "export after model.eval()")
        parameters = (vector(node, constant(node, p), x.type.size) for p in operands[1:5])
        gamma, beta, mean, variance = (p.astype(np.float64) for p in parameters)
        if (variance + node.attributes.get("epsilon", 1e-5) <= 0).any():
            raise node.refuse("has a variance that is not positive")
        factor = gamma / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
        with np.errstate(over="ignore"):
            constants = [c.astype(np.float32) for c in (factor, beta - mean * factor)]
        if not all(np.isfinite(c).all() for c in constants):
            raise node.refuse("leaves float32", "check the training")
        return self.builder.apply("affine", x, *map(self.builder.constant, constants))

    def _leaky(self, node: FileNode, operands: list[Value | Raw | None]) -> Value:
        slope = float(np.float32(node.attributes.get("alpha", 0.01)))
        return self.builder.apply("leaky_relu", activation(node, operands[0]), slope=slope)

    def _keep(self, node: FileNode, operands: list[Value | Raw | None]) -> Value | Raw:
        tensor = operands[0]
        assert tensor is not None
        features = tensor.type.size if isinstance(tensor, Value) else None
        check_keeps_shape(node, operands, features)
        return tensor


def activation(node: FileNode, tensor: Any) -> Value:
    """`tensor`, an activation; any other is refused."""
    if not isinstance(tensor, Value):
        raise node.refuse("an activation is needed here")
    return tensor


def constant(node: FileNode, tensor: Any) -> NDArray[np.float32]:
    """The elements of `tensor`, a constant; any other is refused."""
    if not isinstance(tensor, Raw):
        raise node.refuse("an operand is not constant", "use a plain chain of layers")
    return only_float(node, tensor.array)


def vector(node: FileNode, array: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """One number a channel: a single one is repeated, any other shape refused."""
    check_vector(node, array.shape, size)
    return np.ascontiguousarray(np.broadcast_to(array.reshape(-1), (size,)))
