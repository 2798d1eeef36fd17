"""Float perceptrons as ONNX, and the family of reference networks that one generator defines."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgetrain.compiler.learnable import nearest_power_code, powers_of
from edgetrain.compiler.rules import Learning
from edgetrain.compiler.types import Int

Floats = NDArray[np.float32]

_IR_VERSION = 10
_OPSET = 17
_NAME = re.compile(r"mlp((?:-[1-9]\d{0,2}){2,})-(fp32|fp16|(?:w[2-8]|pow2)a[2-8])")
_QONNX = "qonnx.custom_op.general"
_SAMPLES = 10


def float_mlp(
    weights: Sequence[Floats], biases: Sequence[Floats], activation: str = "Relu", **attributes: Any
) -> onnx.ModelProto:
    """A chain of linear layers, weights (K, N), with `activation` (an ONNX op) between them."""
    nodes, tensors, last = [], [], "x"
    for layer, (w, b) in enumerate(zip(weights, biases, strict=True)):
        tensors += [
            numpy_helper.from_array(w, f"w{layer}"),
            numpy_helper.from_array(b, f"b{layer}"),
        ]
        nodes.append(helper.make_node("Gemm", [last, f"w{layer}", f"b{layer}"], [f"z{layer}"]))
        last = f"z{layer}"
        if layer < len(weights) - 1:
            nodes.append(helper.make_node(activation, [last], [f"a{layer}"], **attributes))
            last = f"a{layer}"
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, size])
        for name, size in (("x", weights[0].shape[0]), (last, weights[-1].shape[1]))
    ]
    graph = helper.make_graph(nodes, "mlp", ends[:1], ends[1:], tensors)
    opset = helper.make_opsetid("", _OPSET)
    return helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)


@dataclass(frozen=True, slots=True)
class Bits:
    """Of a quantised network: bits of each layer's weights and of the activations between layers,
    and the steps of the input (signed, 8 bits), of each layer's weights, and of the activations
    (unsigned)."""

    weights: tuple[int, ...]
    activations: int
    input_step: float
    weight_steps: tuple[float, ...]
    activation_step: float


def quantised_mlp(
    weights: Sequence[Floats], biases: Sequence[Floats], bits: Bits
) -> onnx.ModelProto:
    """As `float_mlp` with ReLU, as QONNX: input, weights and activations through quantisers."""
    model = float_mlp(weights, biases)
    graph = model.graph
    nodes: list[onnx.NodeProto] = []
    known = {"x": _quantised(graph, nodes, "x", bits.input_step, 8, signed=True)}
    for layer, (step, width) in enumerate(zip(bits.weight_steps, bits.weights, strict=True)):
        known[f"w{layer}"] = _quantised(graph, nodes, f"w{layer}", step, width, signed=True)
    for node in graph.node:
        node.input[:] = [known.get(name, name) for name in node.input]
        nodes.append(node)
        if node.op_type == "Relu":
            (result,) = node.output
            known[result] = _quantised(
                graph, nodes, result, bits.activation_step, bits.activations, signed=False
            )
    return _with_nodes(model, nodes)


def threshold_mlp(
    weights: Sequence[NDArray[np.int8]], thresholds: Sequence[NDArray[np.int32]], bits: int
) -> onnx.ModelProto:
    """As QONNX: linear layers of integer weights (K, N), each but the last with a table of
    `thresholds` (N, levels) after it; the input is unsigned, of so many `bits`, the output the last
    layer's sums."""
    model = float_mlp(
        [w.astype(np.float32) for w in weights],
        [np.zeros(w.shape[1], np.float32) for w in weights],
        "MultiThreshold",
        domain=_QONNX,
    )
    graph = model.graph
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        (result,) = node.output
        layer = int(result[1:])
        if node.op_type == "Gemm":
            node.input[1] = _quantised(graph, nodes, f"w{layer}", 1.0, 8, signed=True)
        else:
            table = thresholds[layer].astype(np.float32)
            graph.initializer.append(numpy_helper.from_array(table, f"t{layer}"))
            node.input.append(f"t{layer}")
        nodes.append(node)
    (x,) = graph.input
    note = onnx.TensorAnnotation(tensor_name=x.name)
    note.quant_parameter_tensor_names.add(key="finn_datatype", value=f"UINT{bits}")
    graph.quantization_annotation.append(note)
    return _with_nodes(model, nodes)


def _quantised(
    graph: onnx.GraphProto,
    nodes: list[onnx.NodeProto],
    x: str,
    step: float,
    width: int,
    *,
    signed: bool,
) -> str:
    """The name of `x` after a quantiser, which is added to `nodes`."""
    for name, number in (("step", step), ("zero", 0.0), ("bits", width)):
        graph.initializer.append(
            numpy_helper.from_array(np.array(number, np.float32), f"{x}_{name}")
        )
    operands = [x, f"{x}_step", f"{x}_zero", f"{x}_bits"]
    how: dict[str, Any] = {"signed": int(signed), "narrow": int(signed)}
    how["rounding_mode"] = "ROUND"
    nodes.append(helper.make_node("Quant", operands, [f"{x}_q"], domain=_QONNX, **how))
    return f"{x}_q"


def _with_nodes(model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto]) -> onnx.ModelProto:
    """`model`, of these nodes alone."""
    inner = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(inner)
    model.opset_import.append(helper.make_opsetid(_QONNX, 2))
    return model


@dataclass(frozen=True)
class ReferenceNetwork:
    """The network `mlp-SIZES-PRECISION`, the samples that it learns, and how.

    All numbers come, in this order, from one generator: s ← 1664525·s + 1013904223 mod 2³², first
    1, each draw (s >> 8)/2²³ − 1: ten samples, then the weights of each layer, [in][out], times the
    greatest power of two that is at most √(2/in).  Biases are 0; the label of sample i is i modulo
    the number of outputs.  ReLU between the layers.  In fp16 each number is rounded to FLOAT16,
    and nothing is scaled.  In wNaM weights have N bits and activations M; of two bits the weights
    are −1, 0 or 1 times what the layer's greatest number may be, and of more their step is half of
    that, a quarter …; the step of activations is 2/2^M, of the input 2^-7.  pow2aM is w8aM whose
    weights learn as 0 and powers of two, and are such steps from the start.
    """

    sizes: tuple[int, ...]
    precision: str

    @property
    def name(self) -> str:
        return f"mlp-{'-'.join(map(str, self.sizes))}-{self.precision}"

    @property
    def summary(self) -> str:
        """In one line."""
        sizes = "-".join(map(str, self.sizes))
        return f"{sizes} learns ten samples by SGD, in {self.precision.upper()}"

    @property
    def learning(self) -> Learning:
        """Cross-entropy, one sample a step; fp16 without a loss scale: no step is skipped."""
        if self.bits is not None:
            return Learning(rate=2.0**-6, precision="pow2" if self._powers else None)
        if self.precision == "fp16":
            return Learning(rate=2.0**-7, precision="fp16", loss_scale=1)
        return Learning(loss="cross-entropy", rate=0.01)

    @cached_property
    def samples(self) -> Floats:
        """The inputs (10, features)."""
        return self._numbers[0]

    @property
    def labels(self) -> tuple[int, ...]:
        """The class of each sample."""
        return tuple(i % self.sizes[-1] for i in range(_SAMPLES))

    def model(self) -> onnx.ModelProto:
        """As a float ONNX model, untrained."""
        weights = self._numbers[1:]
        biases = [np.zeros(w.shape[1], np.float32) for w in weights]
        if self.bits is None:
            return float_mlp(weights, biases)
        return quantised_mlp(weights, biases, self.bits)

    @property
    def bits(self) -> Bits | None:
        """None of a float network."""
        if self.precision in ("fp32", "fp16"):
            return None
        weights = 8 if self._powers else int(self.precision[1])
        activations = int(self.precision[-1])
        steps = tuple(_scale(rows) * 2.0 ** (2 - weights) for rows in self.sizes[:-1])
        widths = (weights,) * len(steps)
        return Bits(widths, activations, 2.0**-7, steps, 2.0 ** (1 - activations))

    @cached_property
    def _numbers(self) -> list[Floats]:
        """The samples, and the weights of each layer."""
        draws = _draws()
        arrays = []
        shapes = [(_SAMPLES, self.sizes[0]), *pairwise(self.sizes)]
        for place, (rows, columns) in enumerate(shapes):
            drawn = np.fromiter(islice(draws, rows * columns), np.float32, rows * columns)
            scale = np.float32(_scale(rows) if place else 1.0)
            if place and self._powers:
                # Of steps: there are 64 up to what the greatest number may be.
                codes = nearest_power_code(drawn.astype(np.float64) * 64, Int(-7, 7))
                drawn = (powers_of(codes) / 64).astype(np.float32)
            arrays.append(self._rounded(drawn.reshape(rows, columns) * scale))
        return arrays

    def _rounded(self, array: Floats) -> Floats:
        """As the precision has it, in FLOAT32."""
        return array.astype(np.float16).astype(np.float32) if self.precision == "fp16" else array

    @property
    def _powers(self) -> bool:
        return self.precision.startswith("pow2")


def reference_network(name: str) -> ReferenceNetwork | None:
    """The network of this name, if it is one of the family: sizes from 1 to 999."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    return ReferenceNetwork(tuple(map(int, found[1].strip("-").split("-"))), found[2])


def _draws() -> Iterator[float]:
    state = 1
    while True:
        state = (1664525 * state + 1013904223) % 2**32
        yield (state >> 8) / 2**23 - 1


def _scale(fan_in: int) -> float:
    """The greatest power of two that is at most √(2/fan_in)."""
    halvings = 0
    while 2 * 4**halvings < fan_in:
        halvings += 1
    return 0.5**halvings
