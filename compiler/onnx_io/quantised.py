"""QONNX and QDQ files: every tensor is followed exactly, and what remains is integers only.

Between two quantisers an activation is a per-channel function of an integer accumulator.  A
quantiser cuts it into levels; each level's first accumulator is an integer threshold, found in
exact arithmetic (every float32 of the file at its exact value).
"""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph, GraphBuilder, Value
from edgetrain.compiler.interface import InputCode, OutputCode, first_float32
from edgetrain.compiler.onnx_io import quantiser
from edgetrain.compiler.onnx_io.exact import (
    Affine,
    Clamp,
    Leaky,
)
from edgetrain.compiler.onnx_io.file import FileNode, ModelFile
from edgetrain.compiler.onnx_io.integers import common_unit, output, threshold
from edgetrain.compiler.onnx_io.quantiser import Quantiser
from edgetrain.compiler.onnx_io.reader import (
    Reader,
    check_keeps_shape,
    only_float,
    operand,
    permutation,
)
from edgetrain.compiler.onnx_io.tensors import (
    Activation,
    ClassIndex,
    Codes,
    FloatInput,
    Latent,
    Linear,
    Quantised,
    Raw,
    Tensor,
)
from edgetrain.compiler.types import Int, TensorType, parse_scalar

_NO_QUANTISER = "put a quantiser (QuantIdentity, Quant) before it"


class QuantisedReader(Reader):
    """Reads one file into a graph of integers; with `powers` weights become 0, ±1, ±2, ±4 …"""

    def __init__(self, file: ModelFile, *, powers: bool = False) -> None:
        super().__init__(file)
        self._powers = powers
        self.builder = GraphBuilder("infer")
        self._input_code: InputCode | None = None
        self._input: Value | None = None
        self.handlers = {
            "Quant": self._quant,
            "IntQuant": self._quant,
            "BipolarQuant": self._quant,
            "MultiThreshold": self._multi_threshold,
            "QuantizeLinear": self._quantize_linear,
            "DequantizeLinear": self._dequantize_linear,
            "MatMul": self._matmul,
            "Gemm": self._gemm,
            "Add": self._arithmetic,
            "Sub": self._arithmetic,
            "Mul": self._arithmetic,
            "Div": self._arithmetic,
            "BatchNormalization": self._batch_norm,
            "Relu": self._activation_function,
            "LeakyRelu": self._activation_function,
            "Clip": self._activation_function,
            "Transpose": self._transpose,
            "ArgMax": self.argmax,
            "Identity": self._keep,
            "Dropout": self._keep,
            "Flatten": self._keep,
            "Reshape": self._keep,
            "Cast": self._keep,
        }

    def read(self) -> tuple[Graph, InputCode, OutputCode]:
        """The graph of the entry `infer`, and what its input and output mean."""
        source: Tensor = FloatInput(self.file.features)
        if self.file.annotation and self.file.annotation != "FLOAT32":
            scalar = parse_scalar(self.file.annotation)
            if not isinstance(scalar, Int):
                raise InputError(f"the input is of type {scalar.name}", where=self.file.path)
            source = self._make_input(InputCode(TensorType((self.file.features,), scalar)))
        result = self.walk(source)
        match result:
            case Activation():
                value, code = self.end(result)
            case ClassIndex():
                value, code = result.source, OutputCode(result.source.type)
            case Codes():
                value = result.activation.source
                code = OutputCode(value.type)
            case _:
                raise InputError(
                    "the output does not come from a quantised layer",
                    where=self.file.path,
                    remedy="quantise the input and every layer's weights",
                )
        if value == self._input:
            raise InputError("the model computes nothing", where=self.file.path)
        self.builder.output("y", value)
        assert self._input_code is not None
        return self.builder.build(), self._input_code, code

    def end(self, x: Activation) -> tuple[Value, OutputCode]:
        """The integers of the model's output, and their meaning."""
        return output(self.builder, x)

    def cut(self, node: FileNode, x: Activation, levels: Quantiser) -> Value:
        """The codes of a quantiser, which is `node`, applied to `x`."""
        return threshold(self.builder, x, levels)

    # Quantisers

    def _quant(self, node: FileNode, operands: list[Tensor | None]) -> Tensor:
        tensor = operands[0]
        if isinstance(tensor, Raw):
            return quantiser.constant(node, only_float(node, tensor.array), operands)
        channels = _channels(node, tensor)
        return self._quantise(node, tensor, quantiser.of_node(node, operands, channels))

    def _multi_threshold(self, node: FileNode, operands: list[Tensor | None]) -> Tensor:
        levels = quantiser.of_thresholds(node, operands, _channels(node, operands[0]))
        return self._quantise(node, operands[0], levels)

    def _quantize_linear(self, node: FileNode, operands: list[Tensor | None]) -> Tensor:
        dtype = quantiser.linear_dtype(node, operands)
        channels = _channels(node, operands[0])
        levels = quantiser.of_quantize_linear(node, operands, channels, dtype)
        return Codes(self._quantise(node, operands[0], levels), dtype)

    def _dequantize_linear(self, node: FileNode, operands: list[Tensor | None]) -> Tensor:
        tensor = operands[0]
        if isinstance(tensor, Raw):
            return quantiser.dequantised_constant(node, tensor.array, operands)
        if not isinstance(tensor, Codes):
            raise node.refuse("its operand is no QuantizeLinear's result")
        channels = tensor.activation.channels
        scales, zeros = quantiser.linear_parameters(node, operands, channels, tensor.dtype)
        chains = tuple((Affine(s, -z * s),) for s, z in zip(scales, zeros, strict=True))
        return Activation(tensor.activation.source, chains)

    def _make_input(self, code: InputCode) -> Activation:
        self._input_code = code
        self._input = self.builder.input("x", code.type)
        return Activation(self._input, ((),) * self.file.features)

    def _quantise(self, node: FileNode, tensor: Tensor | None, levels: Quantiser) -> Activation:
        if isinstance(tensor, FloatInput):
            source = self._quantise_input(node, levels)
        elif isinstance(tensor, Activation):
            source = self.cut(node, tensor, levels)
        else:
            raise node.refuse("quantises something that is no activation")
        return Activation(source, levels.meaning)

    def _quantise_input(self, node: FileNode, levels: Quantiser) -> Value:
        cuts = levels.cuts[0]
        if any(other != cuts for other in levels.cuts):
            raise node.refuse("quantises the input per channel", "use one scale for the input")
        steps = tuple(
            first_float32(cuts.unit * m, inclusive=inclusive)
            for m, inclusive in zip(cuts.multiples, cuts.inclusive, strict=True)
        )
        kind = TensorType((self.file.features,), Int(levels.lowest, levels.lowest + len(steps)))
        code = InputCode(kind, levels.lowest, steps)
        if self._input_code not in (None, code):
            raise node.refuse("quantises the input in a second way", "use one input quantiser")
        if self._input is None:
            self._make_input(code)
        assert self._input is not None
        return self._input

    # Layers

    def _matmul(self, node: FileNode, operands: list[Tensor | None]) -> Tensor:
        x, weights = operands
        return self._linear(node, x, self._typed(node, weights), Fraction(1))

    def _gemm(self, node: FileNode, operands: list[Tensor | None]) -> Tensor:
        if node.attributes.get("transA", 0):
            raise node.refuse("transA is not supported")
        x, weights = operands[0], self._typed(node, operands[1])
        if node.attributes.get("transB", 0) and isinstance(weights, Quantised):
            weights = weights.transposed(tuple(range(weights.integers.ndim))[::-1])
        alpha, beta = (Fraction(node.attributes.get(k, 1.0)) for k in ("alpha", "beta"))
        product = self._linear(node, x, weights, alpha)
        bias = operand(operands, 2)
        if bias is None:
            return product
        numbers = _numbers(node, bias, product.channels)
        return _extend(product, [Affine(Fraction(1), beta * b) for b in numbers])

    def _typed(self, node: FileNode, weights: Tensor | None) -> Tensor | None:
        """Weights that are integers already, of which the file says so, as FINN's files do."""
        name = self.file.annotations.get(node.inputs[1], "FLOAT32")
        if not isinstance(weights, Raw) or name == "FLOAT32":
            return weights
        kind, array = parse_scalar(name), only_float(node, weights.array)
        if not isinstance(kind, Int):
            return weights
        whole = np.clip(np.nan_to_num(array), kind.lo, kind.hi).astype(np.int64)
        if not array.size or not np.array_equal(whole, array):
            raise node.refuse(f"its weights are not all of their type, {name}")
        latent = Latent(array.astype(np.float64), kind)
        return Quantised(whole, np.full((1,) * array.ndim, Fraction(1), object), latent)

    def _linear(
        self, node: FileNode, x: Tensor | None, weights: Tensor | None, alpha: Fraction
    ) -> Activation:
        if isinstance(weights, Raw):
            raise node.refuse("its weights are not quantised", "quantise them (Quant)")
        if not isinstance(x, Activation):
            raise node.refuse("its input is not quantised", _NO_QUANTISER)
        if not isinstance(weights, Quantised):
            raise node.refuse("its second operand is no constant")
        if self._powers:
            weights = weights.in_powers()
        integers, scale = weights.integers, weights.scale
        if integers.ndim != 2 or integers.shape[0] != x.channels:
            raise node.refuse(f"weights {integers.shape} do not fit {x.channels} inputs")
        if scale.shape[0] != 1:
            if not (scale == scale[:1]).all():
                raise node.refuse("weights have a scale per input", "scale per output channel")
            scale = scale[:1]
        n = integers.shape[1]
        grid = x.grid()
        if grid is None:
            raise node.refuse("its input is not quantised", _NO_QUANTISER)
        unit, multiples = common_unit(grid[0])
        if max(abs(m) for m in multiples) >= 2**15:
            raise node.refuse(
                "its inputs have different scales", "use one activation scale a layer"
            )
        if self._powers and set(multiples) != {1}:
            raise node.refuse("its inputs have different scales, not for pow2")
        step, offsets = common_unit(grid[1])
        sums = np.array(offsets, object) @ integers.astype(object) if any(offsets) else [0] * n
        column_scales = (np.broadcast_to(scale[0], (n,)) * alpha).tolist()
        chains = tuple(
            (Affine(unit * s, total * step * s),)
            for s, total in zip(column_scales, sums, strict=True)
        )
        scaled = integers * np.array(multiples, np.int64)[:, None]
        largest = int(np.abs(scaled).max()) * max(-x.range.lo, x.range.hi)
        if largest * x.channels >= 2**62:
            raise node.refuse("its sums do not fit 64 bits", "use fewer bits")
        linear = None
        if weights.latent is not None and unit and not any(offsets) and set(multiples) == {1}:
            linear = Linear(weights.latent, tuple(column_scales))
        return Activation(x.source, chains, scaled, linear, self._powers)

    def _arithmetic(self, node: FileNode, operands: list[Tensor | None]) -> Tensor:
        left, right = operands
        first = isinstance(left, Activation)
        x, constant = (left, right) if first else (right, left)
        if isinstance(x, FloatInput):
            raise node.refuse("works on the unquantised input", _NO_QUANTISER)
        if not isinstance(x, Activation) or not isinstance(constant, Raw | Quantised):
            raise node.refuse("joins two activations", "use a plain chain of layers")
        if node.op == "Div" and not first:
            raise node.refuse("divides by an activation")
        numbers = _numbers(node, constant, x.channels)
        if node.op == "Div" and not all(numbers):
            raise node.refuse("divides by zero")
        one = Fraction(1)
        steps = {
            "Add": lambda v: Affine(one, v),
            "Sub": lambda v: Affine(one, -v) if first else Affine(-one, v),
            "Mul": lambda v: Affine(v, Fraction(0)),
            "Div": lambda v: Affine(one / v, Fraction(0)),
        }
        return _extend(x, [steps[node.op](v) for v in numbers])

    def _batch_norm(self, node: FileNode, operands: list[Tensor | None]) -> Tensor:
        x = _activation(node, operands[0])
        if node.attributes.get("training_mode", 0):
            raise node.refuse("is in training mode", "export after model.eval()")
        gamma, beta, mean, variance = (_numbers(node, p, x.channels) for p in operands[1:5])
        epsilon = Fraction(node.attributes.get("epsilon", float(np.float32(1e-5))))
        if min(variance) + epsilon <= 0:
            raise node.refuse("has a variance that is not positive")
        shifted = _extend(x, [Affine(Fraction(1), -m) for m in mean])
        steps = zip(gamma, beta, variance, strict=True)
        result = _extend(shifted, [Affine(g, b, v + epsilon) for g, b, v in steps])
        linear = result.linear and replace(result.linear, gamma=tuple(gamma))
        return replace(result, linear=linear)

    def _activation_function(self, node: FileNode, operands: list[Tensor | None]) -> Tensor:
        x = _activation(node, operands[0])
        if node.op == "Relu":
            return _extend(x, [Clamp(Fraction(0), None)] * x.channels)
        if node.op == "LeakyRelu":
            slope = Fraction(node.attributes.get("alpha", float(np.float32(0.01))))
            if slope <= 0:
                raise node.refuse("has a slope that is not positive")
            return _extend(x, [Leaky(slope)] * x.channels)
        limits = [
            None if bound is None else _numbers(node, bound, 1)[0]
            for bound in (operand(operands, 1), operand(operands, 2))
        ]
        if None not in limits and limits[0] > limits[1]:  # type: ignore[operator]
            raise node.refuse("has its least above its greatest value")
        return _extend(x, [Clamp(*limits)] * x.channels)

    def _transpose(self, node: FileNode, operands: list[Tensor | None]) -> Tensor:
        tensor = operands[0]
        if not isinstance(tensor, Raw | Quantised):
            raise node.refuse("transposes an activation")
        rank = tensor.array.ndim if isinstance(tensor, Raw) else tensor.integers.ndim
        return tensor.transposed(permutation(node, rank))

    def _keep(self, node: FileNode, operands: list[Tensor | None]) -> Tensor:
        tensor = operands[0]
        constant = tensor is None or isinstance(tensor, Raw | Quantised | ClassIndex)
        check_keeps_shape(node, operands, None if constant else _channels(node, tensor))
        assert tensor is not None
        return tensor

    # The end of the network

    def argmax(self, node: FileNode, operands: list[Tensor | None]) -> Tensor:
        """The class of the greatest output: the end of a network."""
        x = _activation(node, operands[0])
        if node.attributes.get("axis", 0) not in (1, -1):
            raise node.refuse("is not over the features", "use axis 1")
        if node.attributes.get("select_last_index", 0):
            raise node.refuse("selects the last of equals", "use select_last_index 0")
        value, _ = output(self.builder, x, comparable=True)
        return ClassIndex(self.builder.apply("argmax", value))


def _channels(node: FileNode, tensor: Tensor | None) -> int:
    match tensor:
        case FloatInput():
            return tensor.features
        case Activation():
            return tensor.channels
        case Codes():
            return tensor.activation.channels
    raise node.refuse("an activation is needed here")


def _activation(node: FileNode, tensor: Tensor | None) -> Activation:
    if isinstance(tensor, FloatInput):
        raise node.refuse("works on the unquantised input", _NO_QUANTISER)
    if not isinstance(tensor, Activation):
        raise node.refuse("an activation is needed here")
    return tensor


def _numbers(node: FileNode, tensor: Any, channels: int) -> list[Fraction]:
    if not isinstance(tensor, Raw | Quantised):
        raise node.refuse("an operand is not constant")
    return tensor.fractions(node, channels)


def _extend(x: Activation, steps: Any) -> Activation:
    chains = tuple((*chain, step) for chain, step in zip(x.chains, steps, strict=True))
    return replace(x, chains=chains)
