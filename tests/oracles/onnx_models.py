"""Seeded random MLPs in plain ONNX: QDQ as onnxruntime's `quantize_static` writes it, and float."""

from itertools import pairwise
from typing import Any

import numpy as np

from tests.oracles.builder import GraphBuilder
from tests.oracles.generated import (
    CALIBRATION,
    Doubles,
    GeneratedModel,
    InputRange,
    float32,
    widths,
)


class QdqWriter:
    """Writes one random QDQ MLP: weights and biases first, then the layers, as onnxruntime does."""

    def __init__(self, seed: int, ties: bool) -> None:
        self.rng = np.random.default_rng([3, seed])
        self.graph = GraphBuilder()
        self.ties = ties
        self.activation_type = np.int8 if self.chance(0.5) else np.uint8
        self.per_channel = self.chance(0.5)
        self.symmetric = self.chance(0.3)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def scale(self, value: Doubles) -> Doubles:
        if self.ties:
            value = np.exp2(np.round(np.log2(value)))
        return np.asarray(float32(value), np.float64)

    def activation(self, x: str, v: Doubles, stem: str, relu: bool) -> tuple[str, Doubles]:
        """QuantizeLinear and DequantizeLinear over the range of `v`."""
        info = np.iinfo(self.activation_type)
        low, high = min(float(v.min()), 0.0), max(float(v.max()), 1e-3)
        if self.symmetric and not relu:
            zero = (int(info.min) + int(info.max) + 1) // 2
            step = self.scale(np.array(max(-low, high) / 127))
        else:
            # A little narrow, so that some values are clipped.
            step = self.scale(np.array((high - low) / 255 * 0.95))
            zero = int(np.clip(np.round(info.min - low / step), info.min, info.max))
        scale = self.graph.constant(f"{stem}_scale", float32(step))
        point = self.graph.constant(f"{stem}_zero_point", np.array(zero, self.activation_type))
        quantised = self.graph.node(
            "QuantizeLinear", [x, scale, point], f"{stem}_QuantizeLinear_Output"
        )
        name = self.graph.node(
            "DequantizeLinear", [quantised, scale, point], f"{stem}_DequantizeLinear_Output"
        )
        integers = np.clip(np.round(v / step) + zero, info.min, info.max)
        self.step = step
        return name, (integers - zero) * step

    def weight(self, inputs: int, outputs: int, transposed: bool) -> tuple[str, Doubles, Doubles]:
        """A weight as integers and DequantizeLinear; its name, values (inputs, outputs), scales."""
        w = self.rng.normal(size=(inputs, outputs))
        unsigned = not self.per_channel and self.chance(0.3)
        peak = np.abs(w).max(axis=0) if self.per_channel else np.abs(w).max()
        step = self.scale(np.asarray(peak) / 127)
        zero = int(self.rng.integers(100, 156)) if unsigned else 0
        dtype = np.uint8 if unsigned else np.int8
        info = np.iinfo(dtype)
        integers = np.clip(np.round(w / step) + zero, info.min, info.max)
        stored = integers.T if transposed else integers
        parts = [
            self.graph.constant("weight_quantized", stored.astype(dtype)),
            self.graph.constant("weight_scale", float32(step)),
            self.graph.constant("weight_zero_point", np.full(step.shape, zero, dtype)),
        ]
        axis: dict[str, Any] = {"axis": 0 if transposed else 1} if self.per_channel else {}
        name = self.graph.node("DequantizeLinear", parts, "weight_DequantizeLinear_Output", **axis)
        return name, (integers - zero) * step, step

    def bias(self, spread: float, outputs: int, weight_step: Doubles) -> tuple[str, Doubles]:
        """A 32-bit bias in steps of the accumulator."""
        step = float32(self.step * weight_step).astype(np.float64)
        integers = np.round(self.rng.normal(0, spread, outputs) / step)
        parts = [
            self.graph.constant("bias_quantized", integers.astype(np.int32)),
            self.graph.constant("bias_quantized_scale", float32(step.reshape(-1))),
            self.graph.constant("bias_quantized_zero_point", np.zeros(step.shape, np.int32)),
        ]
        axis: dict[str, Any] = {"axis": 0} if self.per_channel else {}
        return self.graph.node("DequantizeLinear", parts, "bias", **axis), integers * step

    def layer(self, x: str, v: Doubles, outputs: int, relu: bool) -> tuple[str, Doubles]:
        transposed = self.chance(0.5)
        bare = self.chance(0.2)
        weight, w, step = self.weight(v.shape[1], outputs, transposed and not bare)
        y = v @ w
        if bare:
            name = self.graph.node("MatMul", [x, weight], "matmul")
        else:
            bias, b = self.bias(float(y.std()) + 1e-3, outputs, step)
            y = y + b
            attributes: dict[str, Any] = {"transB": 1} if transposed else {}
            name = self.graph.node("Gemm", [x, weight, bias], "gemm", **attributes)
        if relu:
            y = np.maximum(y, 0)
            # A zero point at the bottom of the range makes Relu redundant; onnxruntime drops it.
            if self.symmetric or self.chance(0.3):
                name = self.graph.node("Relu", [name], "relu")
        return name, y


def random_qdq(seed: int) -> GeneratedModel:
    """An 8-bit MLP of 1 to 4 layers in QDQ form; every fourth is built to land on ties."""
    ties = seed % 4 == 0
    writer = QdqWriter(seed, ties)
    rng = writer.rng
    layers = int(rng.integers(1, 5))
    sizes = widths(rng, layers)
    span = np.abs(rng.normal(2, 0.5)) + 0.5
    v = rng.uniform(-span, span * rng.uniform(0.2, 1.5), (CALIBRATION, sizes[0]))
    x, v = writer.activation(writer.graph.name("input"), v, "input", relu=False)
    lowest, highest = float(v.min() / writer.step), float(v.max() / writer.step)
    inputs = InputRange(sizes[0], float(writer.step), lowest - 2, highest + 2, on_grid=False)
    for layer, outputs in enumerate(sizes[1:], start=1):
        relu = layer < layers and writer.chance(0.8)
        x, v = writer.layer(x, v, outputs, relu)
        x, v = writer.activation(x, v, f"layer{layer}", relu)
    model = writer.graph.model(("input", sizes[0]), (x, sizes[-1]), batch="N", opset=17)
    return GeneratedModel(f"qdq-{seed}", model, ties, inputs)


def random_float(seed: int) -> GeneratedModel:
    """A float MLP of 1 to 4 layers: Gemm or MatMul and Add, batch normalisation, Relu."""
    rng = np.random.default_rng([4, seed])
    graph = GraphBuilder()
    layers = int(rng.integers(1, 5))
    sizes = widths(rng, layers)
    x = graph.name("input")
    for layer, (width, outputs) in enumerate(pairwise(sizes), start=1):
        w = float32(rng.normal(0, 1 / np.sqrt(width), (width, outputs)))
        bias = graph.constant("bias", float32(rng.normal(0, 0.3, outputs)))
        if rng.random() < 0.6:
            stored = graph.constant("weight", w.T.copy())
            x = graph.node("Gemm", [x, stored, bias], "gemm", transB=1)
        else:
            x = graph.node("MatMul", [x, graph.constant("weight", w)], "matmul")
            x = graph.node("Add", [x, bias], "add")
        if layer == layers:
            break
        if rng.random() < 0.5:
            gamma = rng.uniform(0.3, 1.5, outputs) * rng.choice([-1, 0, 1], outputs)
            parameters = {
                "bn.weight": gamma,
                "bn.bias": rng.normal(0, 0.3, outputs),
                "bn.running_mean": rng.normal(0, 0.3, outputs),
                "bn.running_var": rng.uniform(0.1, 2, outputs),
            }
            stored_all = [graph.constant(name, float32(p)) for name, p in parameters.items()]
            x = graph.node("BatchNormalization", [x, *stored_all], "bn", epsilon=1e-5)
        if rng.random() < 0.8:
            x = graph.node("Relu", [x], "relu")
    model = graph.model(("input", sizes[0]), (x, sizes[-1]), batch="N", opset=17)
    inputs = InputRange(sizes[0], 0.37, -5, 5, on_grid=False)
    return GeneratedModel(f"float-{seed}", model, False, inputs)
