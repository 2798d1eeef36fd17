"""QONNX and QDQ files as the float networks that they stand for.

Weights are their integers times the scale, batch norms go into them, and activations are no longer
rounded: a quantiser that cuts at zero is a ReLU, any other nothing.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from edgetrain.compiler.graph import Graph, Value
from edgetrain.compiler.interface import InputCode, OutputCode
from edgetrain.compiler.onnx_io import quantiser
from edgetrain.compiler.onnx_io.exact import Affine
from edgetrain.compiler.onnx_io.file import FileNode, ModelFile
from edgetrain.compiler.onnx_io.floats import FloatReader, activation, constant, vector
from edgetrain.compiler.onnx_io.quantiser import Quantiser
from edgetrain.compiler.onnx_io.reader import only_float, operand, permutation
from edgetrain.compiler.onnx_io.tensors import Quantised, Raw
from edgetrain.compiler.passes.fold_affine import FoldAffine


@dataclass(frozen=True)
class Steps:
    """The integers of a QuantizeLinear, as the reals that they mean; and its other operands."""

    value: Value
    parameters: tuple[Any, ...]


class DequantisedReader(FloatReader):
    """Reads one quantised file into a graph of floats."""

    def __init__(self, file: ModelFile) -> None:
        super().__init__(file)
        self.handlers |= {
            "Quant": self._quant,
            "IntQuant": self._quant,
            "BipolarQuant": self._quant,
            "QuantizeLinear": self._quantize_linear,
            "DequantizeLinear": self._dequantize_linear,
            "Transpose": self._transpose,
            "Add": self._arithmetic,
            "Sub": self._arithmetic,
            "Mul": self._arithmetic,
            "Div": self._arithmetic,
            "Clip": self._clip,
        }

    def read(self) -> tuple[Graph, InputCode, OutputCode]:
        """The graph of the entry `infer`, and what its input and output mean."""
        graph, input_code, output_code = super().read()
        return FoldAffine().apply(graph), input_code, output_code

    def _quant(self, node: FileNode, operands: list[Any]) -> Value | Raw:
        tensor = operands[0]
        if isinstance(tensor, Raw):
            integers = quantiser.constant(node, only_float(node, tensor.array), operands)
            return _reals(node, integers)
        x = activation(node, tensor)
        return self._rectified(node, x, quantiser.of_node(node, operands, x.type.size))

    def _quantize_linear(self, node: FileNode, operands: list[Any]) -> Steps:
        x = activation(node, operands[0])
        dtype = quantiser.linear_dtype(node, operands)
        levels = quantiser.of_quantize_linear(node, operands, x.type.size, dtype)
        return Steps(self._rectified(node, x, levels), tuple(operands[1:]))

    def _dequantize_linear(self, node: FileNode, operands: list[Any]) -> Value | Raw:
        tensor = operands[0]
        if isinstance(tensor, Raw):
            return _reals(node, quantiser.dequantised_constant(node, tensor.array, operands))
        if not isinstance(tensor, Steps):
            raise node.refuse("its operand is no QuantizeLinear's result")
        if not _equal(tensor.parameters, tuple(operands[1:])):
            raise node.refuse("does not undo its QuantizeLinear", "use the same scale in both")
        return tensor.value

    def _rectified(self, node: FileNode, x: Value, levels: Quantiser) -> Value:
        """What remains of a quantiser: nothing, or a ReLU where its least number is zero."""
        if x == self.source:
            return x
        if all(_at(chain, levels.lowest) == 0 for chain in levels.meaning):
            made = {n.outputs[0]: n.op for n in self.builder.nodes}
            return x if made.get(x) == "relu" else self.builder.apply("relu", x)
        if len(levels.cuts[0].multiples) == 1:
            raise node.refuse("keeps a sign only", "dequantise models of two bits and more")
        return x

    def _arithmetic(self, node: FileNode, operands: list[Any]) -> Value:
        left, right = operands
        first = isinstance(left, Value)
        x = activation(node, left if first else right)
        numbers = vector(node, constant(node, right if first else left), x.type.size)
        if node.op == "Div" and not (first and numbers.all()):
            raise node.refuse("divides by zero, or by an activation")
        ones = np.ones_like(numbers)
        factor, offset = {
            "Add": (ones, numbers),
            "Sub": (ones, -numbers) if first else (-ones, numbers),
            "Mul": (numbers, 0 * ones),
            "Div": (1 / numbers if node.op == "Div" else ones, 0 * ones),
        }[node.op]
        return self.builder.apply("affine", x, *map(self.builder.constant, (factor, offset)))

    def _clip(self, node: FileNode, operands: list[Any]) -> Value:
        least, most = operand(operands, 1), operand(operands, 2)
        if most is not None or not isinstance(least, Raw) or least.array.any():
            raise node.refuse("has other limits than 0 and none", "use Relu")
        return self.builder.apply("relu", activation(node, operands[0]))

    def _transpose(self, node: FileNode, operands: list[Any]) -> Raw:
        if not isinstance(operands[0], Raw):
            raise node.refuse("transposes an activation")
        return operands[0].transposed(permutation(node, operands[0].array.ndim))


def _reals(node: FileNode, constant: Quantised) -> Raw:
    """In FLOAT32, rounded once for integers of up to 29 bits."""
    with np.errstate(over="ignore"):
        reals = (constant.integers * constant.scale.astype(np.float64)).astype(np.float32)
    if not np.isfinite(reals).all():
        raise node.refuse("leaves float32", "check the training")
    return Raw(reals)


def _at(chain: Any, code: int) -> Fraction:
    """The real that a quantiser's `code` means."""
    (line,) = chain
    assert isinstance(line, Affine)
    return line.c * code + line.d


def _equal(left: tuple[Any, ...], right: tuple[Any, ...]) -> bool:
    def same(a: Raw | None, b: Raw | None) -> bool:
        if a is None or b is None:
            return a is b
        return np.array_equal(a.array, b.array)

    return len(left) == len(right) and all(map(same, left, right))
