"""Seeded random quantised MLPs as QONNX files, as Brevitas exports them.

A model runs a float64 forward pass while it is built, so that scales, means and zero points fit the
data and no layer is saturated or constant by accident.
"""

from typing import Any

import numpy as np

from tests.oracles.builder import QONNX, GraphBuilder
from tests.oracles.generated import (
    CALIBRATION,
    Doubles,
    Floats,
    GeneratedModel,
    InputRange,
    float32,
    widths,
)

GAINS = [0.5, 0.2, 0.2, 0.1]  # probabilities of the signs 1, 1, −1, 0
ANNOTATIONS = [
    ("INT2", -2, 1),
    ("UINT2", 0, 3),
    ("INT4", -8, 7),
    ("UINT8", 0, 255),
    ("INT8", -128, 127),
    ("BIPOLAR", -1, 1),
    ("BINARY", 0, 1),
]


class QonnxWriter:
    """Writes one random quantised MLP, layer by layer, and follows it with calibration data."""

    def __init__(self, seed: int, ties: bool) -> None:
        self.rng = np.random.default_rng([2, seed])
        self.graph = GraphBuilder()
        self.ties = ties
        self.unit = 1.0  # in a tie model, what the activations or accumulators are multiples of

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def scale(self, value: Any) -> Floats:
        """`value`, as a power of two in a tie model, and with a full mantissa elsewhere."""
        value = np.maximum(np.asarray(value, np.float64), 1e-6)
        if self.ties:
            return float32(2.0 ** np.round(np.log2(value)))
        return float32(value * self.rng.uniform(0.9, 1.1, value.shape))

    def quant(
        self, x: str, v: Doubles, scale: Floats, zero: int, bits: int, signed: bool, narrow: bool
    ) -> tuple[str, Doubles]:
        """A Quant node, and its result on `v`."""
        inputs = [
            x,
            self.graph.constant("export_handler.lifted_tensor", scale),
            self.graph.constant("export_handler.lifted_tensor", float32(zero)),
            self.graph.constant("export_handler.lifted_tensor", float32(bits)),
        ]
        name = self.graph.node(
            "Quant",
            inputs,
            "_symbolic",
            QONNX,
            rounding_mode="ROUND",
            signed=int(signed),
            narrow=int(narrow),
        )
        low, high = integer_range(bits, signed, narrow)
        if signed and bits == 1:
            integers = np.where(v / scale + zero >= 0, 1.0, -1.0)
        else:
            integers = np.clip(np.round(v / scale + zero), low, high)
        return name, (integers - zero) * scale

    def bipolar(self, x: str, v: Doubles, scale: Floats) -> tuple[str, Doubles]:
        inputs = [x, self.graph.constant("export_handler.lifted_tensor", scale)]
        name = self.graph.node("BipolarQuant", inputs, "_symbolic", QONNX)
        return name, np.where(v >= 0, 1.0, -1.0) * scale

    def input(self, features: int) -> tuple[str, Doubles, InputRange, str | None]:
        """The input, its quantiser (or an annotated data type instead), and its range."""
        name = self.graph.name("input")
        kind = self.rng.choice(["quant", "quant", "quant", "annotated", "bipolar"])
        if kind == "annotated":
            annotation, low, high = ANNOTATIONS[self.rng.integers(len(ANNOTATIONS))]
            inputs = InputRange(features, 1.0, low, high, on_grid=True)
            return name, inputs.sample(CALIBRATION, 1).astype(np.float64), inputs, annotation
        scale = self.scale(self.rng.uniform(0.05, 1.5))
        self.unit = float(scale)
        if kind == "bipolar":
            inputs = InputRange(features, float(scale), -2, 2, on_grid=False)
            x = inputs.sample(CALIBRATION, 1).astype(np.float64)
            quantised, v = self.bipolar(name, x, scale.reshape(1))
            return quantised, v, inputs, None
        bits, signed, narrow = int(self.rng.integers(1, 9)), self.chance(0.5), self.chance(0.3)
        narrow = narrow and bits > 1
        low, high = integer_range(bits, signed, narrow)
        zero = int(self.rng.integers(low, high + 1)) if self.chance(0.3) else 0
        inputs = InputRange(features, float(scale), low - zero - 1, high - zero + 1, on_grid=False)
        x = inputs.sample(CALIBRATION, 1).astype(np.float64)
        quantised, v = self.quant(name, x, scale, zero, bits, signed, narrow)
        return quantised, v, inputs, None

    def weight(self, outputs: int, inputs: int) -> tuple[str, Doubles]:
        """A quantised weight, (outputs, inputs); returns its name and its values."""
        rng = self.rng
        w = rng.normal(size=(outputs, inputs))
        per_channel = self.chance(0.5)
        peak = np.abs(w).max(axis=1, keepdims=True) if per_channel else np.abs(w).max()
        kind = rng.choice(["signed", "signed", "ternary", "bipolar", "one bit", "shifted"])
        bits = {"ternary": 2, "one bit": 1}.get(kind, int(rng.integers(2, 9)))
        low, high = integer_range(bits, kind != "shifted", False)
        scale = self.scale(peak / max(high, 1) if kind != "shifted" else 2 * peak / high)
        zero = int(rng.integers(low, high + 1)) if kind == "shifted" else 0
        if self.ties:  # every other weight halfway between two integers
            w = np.round(2 * w / scale) / 2 * scale
            self.unit *= float(np.min(scale))
        raw = float32(w)
        stored = self.graph.constant("weight", raw)
        values = raw.astype(np.float64)
        if kind == "bipolar":
            return self.bipolar(stored, values, scale if per_channel else scale.reshape(1))
        narrow = kind == "ternary" or (kind == "signed" and self.chance(0.6))
        return self.quant(stored, values, scale, zero, bits, kind != "shifted", narrow)

    def bias(self, spread: float, outputs: int) -> tuple[str | None, Doubles]:
        """No bias, a float one, or a quantised one; returns its values."""
        if self.chance(0.3):
            return None, np.zeros(outputs)
        b = self.rng.normal(0, spread, outputs)
        if self.ties:
            b = np.round(2 * b / self.unit) / 2 * self.unit
        raw = float32(b)
        stored = self.graph.constant("bias", raw)
        if not self.chance(0.3):
            return stored, raw.astype(np.float64)
        scale = self.scale(spread / 50).reshape(1)
        return self.quant(stored, raw.astype(np.float64), scale, 0, 12, True, False)

    def linear(self, x: str, v: Doubles, outputs: int) -> tuple[str, Doubles]:
        """Gemm, or the Transpose, MatMul and Add of older exporters."""
        weight, w = self.weight(outputs, v.shape[1])
        y = v @ w.T
        bias, b = self.bias(float(y.std()) + 1e-3, outputs)
        if self.chance(0.8):
            inputs = [x, weight] if bias is None else [x, weight, bias]
            name = self.graph.node(
                "Gemm", inputs, "linear", alpha=1.0, beta=1.0, transA=0, transB=1
            )
            return name, y + b
        turned = self.graph.node("Transpose", [weight], "transpose", perm=[1, 0])
        name = self.graph.node("MatMul", [x, turned], "matmul")
        if bias is not None:
            name = self.graph.node("Add", [name, bias], "add")
        return name, y + b

    def batch_norm(self, x: str, v: Doubles) -> tuple[str, Doubles]:
        """Statistics near the data's; gains of both signs and some of zero."""
        rng, channels = self.rng, v.shape[1]
        epsilon = 2.0**-10 if self.ties else float(np.float32(1e-5))
        gamma = rng.uniform(0.3, 1.5, channels) * rng.choice([1, 1, -1, 0], channels, p=GAINS)
        mean = v.mean(axis=0) + rng.normal(0, 0.1, channels) * v.std(axis=0)
        variance = v.var(axis=0) * rng.uniform(0.7, 1.3, channels) + 1e-3
        if self.ties:  # a rational square root, so that ties survive
            gamma = np.sign(gamma) * 2.0 ** np.round(np.log2(np.abs(gamma) + 1e-9))
            mean = np.round(mean / self.unit) * self.unit
            variance = 4.0 ** np.maximum(np.round(np.log2(variance) / 2), -4) - epsilon
        beta = rng.normal(0, 0.3, channels)
        if self.ties:
            beta = np.round(beta * 8) / 8
        parameters = [float32(p) for p in (gamma, beta, mean, variance)]
        names = ["bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"]
        stored = [self.graph.constant(name, p) for name, p in zip(names, parameters, strict=True)]
        out = self.graph.node(
            "BatchNormalization", [x, *stored], "getitem", momentum=0.9, epsilon=epsilon
        )
        g, b, m, s = (p.astype(np.float64) for p in parameters)
        return out, (v - m) / np.sqrt(s + epsilon) * g + b

    def activation(self, x: str, v: Doubles) -> tuple[str, Doubles]:
        """Relu or none, then a quantiser of 1 to 8 bits."""
        kind = self.rng.choice(["relu", "relu", "signed", "shifted", "bipolar"])
        spread = float(v.std()) + 1e-3
        if kind == "bipolar":
            return self.bipolar(x, v, self.scale(spread).reshape(1))
        if kind == "relu":
            x, v = self.graph.node("Relu", [x], "relu"), np.maximum(v, 0)
        bits, signed = int(self.rng.integers(1, 9)), kind == "signed"
        narrow = bits > 1 and self.chance(0.2)
        low, high = integer_range(bits, signed, narrow)
        step = spread * 2.5 / max(high, 1)
        zero = 0
        if kind == "shifted":
            zero, step = int(self.rng.integers(low, high + 1)), step * 2
        elif kind == "signed" and bits > 1 and self.chance(0.3):
            zero = int(self.rng.integers(low, high + 1))
        scale = self.scale(step)
        self.unit = float(scale)
        return self.quant(x, v, scale, zero, bits, signed, narrow)


def integer_range(bits: int, signed: bool, narrow: bool) -> tuple[int, int]:
    """What a QONNX quantiser can give (one signed bit is bipolar)."""
    if signed and bits == 1:
        return -1, 1
    if signed:
        return -(1 << (bits - 1)) + narrow, (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1 - narrow


def random_qonnx(seed: int, batch: int = 200) -> GeneratedModel:
    """A quantised MLP of 1 to 5 layers; every fourth is built to land on ties."""
    ties = seed % 4 == 0
    writer = QonnxWriter(seed, ties)
    layers = int(writer.rng.integers(1, 6))
    sizes = widths(writer.rng, layers)
    x, v, inputs, annotation = writer.input(sizes[0])
    for layer, outputs in enumerate(sizes[1:], start=1):
        x, v = writer.linear(x, v, outputs)
        if layer < layers or writer.chance(0.3) or (ties and layers == 1):
            if writer.chance(0.6):
                x, v = writer.batch_norm(x, v)
            x, v = writer.activation(x, v)
    model = writer.graph.model(
        ("input", sizes[0]),
        (x, sizes[-1]),
        batch=batch,
        opset=20,
        initialisers_are_inputs=writer.chance(0.7),
        integer_input=annotation,
    )
    return GeneratedModel(f"qonnx-{seed}", model, ties, inputs)
