"""A stand-alone exact evaluator of ONNX and QONNX multi-layer perceptrons.

It takes every constant of the file at its exact value and computes with real numbers: nothing
rounds but the quantisers.  The slow arithmetic is done once per distinct value of a channel; sums
of products are integer sums, with the scales taken out as rationals.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from tests.oracles.live import SIGN, Constant, ExactResult, Integers, Live, Rounding
from tests.oracles.operators import (
    OPERATORS,
    Node,
    Tensor,
    Unsupported,
    along,
    apply,
    from_array,
    from_tensor,
    scalar,
)
from tests.oracles.rational import Fraction
from tests.oracles.reals import ROUNDING, Real, add, multiply, sign

__all__ = ["ExactModel", "ExactResult", "Unsupported"]

QUANTISER_DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")


class ExactModel:
    """An ONNX file with one live input and one output, both of shape (samples, features).

    `constants` holds the integers of every quantiser of constants, by the name of its output.
    `given` replaces the integers of quantisers, by output name, for what lies downstream of them:
    so another executor's decisions can be judged one by one, each on its own inputs.
    """

    def __init__(
        self,
        model: str | Path | bytes | onnx.ModelProto,
        given: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        if isinstance(model, bytes):
            model = onnx.load_from_string(model)
        elif not isinstance(model, onnx.ModelProto):
            model = onnx.load(str(model), load_external_data=False)
        graph = model.graph
        self._values: dict[str, Tensor] = {t.name: from_tensor(t) for t in graph.initializer}
        self._types = {t.name: t.data_type for t in graph.initializer}
        inputs = [value.name for value in graph.input if value.name not in self._values]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise Unsupported("not one live input and one output")
        self.input, self.output = inputs[0], graph.output[0].name
        self._given = given or {}
        self.constants: dict[str, Integers] = {}
        self.roundings: dict[str, Rounding] = {}
        self._nodes: list[Node] = []
        for node in map(Node, graph.node):
            if all(name in self._values for name in node.inputs if name):
                self._values[node.output] = self._evaluate(node)
            else:
                self._nodes.append(node)
        self._folded = self._values

    def run(self, x: NDArray[Any]) -> ExactResult:
        """Evaluate float inputs of shape (samples, features), each taken at its exact value."""
        self._result = ExactResult()
        self._values = {**self._folded, self.input: Live.of(x)}
        for node in self._nodes:
            self._values[node.output] = self._evaluate(node)
        output = self._values[self.output]
        if not isinstance(output, Live):
            raise Unsupported("the output does not depend on the input")
        self._result.output = output
        return self._result

    def _evaluate(self, node: Node) -> Tensor:
        tensors = [self._values[name] if name else None for name in node.inputs]
        if node.domain in QUANTISER_DOMAINS and node.op in ("Quant", "IntQuant"):
            return self._quant(node, *tensors)
        if node.domain in QUANTISER_DOMAINS and node.op == "BipolarQuant":
            return self._bipolar_quant(node, *tensors)
        if node.domain in ("", "ai.onnx") and node.op == "QuantizeLinear":
            return self._quantize_linear(node, *tensors)
        if node.domain in ("", "ai.onnx") and node.op in OPERATORS:
            return OPERATORS[node.op](node, *tensors)
        raise Unsupported(f"operator {node.domain}:{node.op}")

    def _quant(self, node: Node, x: Any, scale: Any, zero: Any, bits: Any) -> Tensor:
        signed, narrow = node.get("signed", 1), node.get("narrow", 1)
        width = int(bits.item())
        if signed:
            low, high = narrow - (1 << (width - 1)), (1 << (width - 1)) - 1
        else:
            low, high = 0, (1 << width) - 1 - narrow
        mode = node.get("rounding_mode", b"ROUND").decode().upper()
        if signed and width == 1:  # QONNX reads one signed bit as bipolar
            low, high, mode = -1, 1, SIGN
        steps = apply(lambda v, s, z: add(multiply(v, 1 / s), z), x, scale, zero)
        integers = self._round(node, steps, scalar(low), scalar(high), mode, scalar(0))
        return apply(lambda n, s, z: (n - z) * s, integers, scale, zero)

    def _bipolar_quant(self, node: Node, x: Any, scale: Any) -> Tensor:
        # The sign is taken of the value itself: a negative scale turns the output only.
        integers = self._round(node, x, scalar(-1), scalar(1), SIGN, scalar(0))
        return apply(lambda n, s: n * s, integers, scale)

    def _quantize_linear(self, node: Node, x: Any, scale: Any, zero: Any = None) -> Tensor:
        integer_type = onnx.TensorProto.UINT8 if zero is None else self._types[node.inputs[2]]
        info = np.iinfo(onnx.helper.tensor_dtype_to_np_dtype(integer_type))
        zero = along(node.get("axis", 1), scalar(0) if zero is None else zero, x)
        steps = apply(lambda v, s: multiply(v, 1 / s), x, along(node.get("axis", 1), scale, x))
        # ONNX rounds x / scale before it adds the zero point, so the tie rule never sees that.
        low, high = (np.asarray(Fraction(int(end)) - zero) for end in (info.min, info.max))
        return self._round(node, steps, low, high, "ROUND", zero)

    def _round(
        self, node: Node, steps: Tensor, low: Constant, high: Constant, mode: str, zero: Constant
    ) -> Tensor:
        """The integers of a quantiser: `steps` rounded and clipped to [low, high], plus `zero`."""

        def quantise(value: Real, low: int, high: int) -> int:
            if mode == SIGN:
                return 1 if sign(value) >= 0 else -1
            return min(max(ROUNDING[mode](value), low), high)

        rounding = Rounding(steps, low, high, zero, mode)
        if not isinstance(steps, Live):
            rounded = np.frompyfunc(quantise, 3, 1)(steps, low, high)
            constants = np.asarray(rounded + zero).astype(np.int64)
            self.constants[node.output], self.roundings[node.output] = constants, rounding
            return from_array(self._given.get(node.output, constants))
        if not steps.exact:
            raise Unsupported(f"{node.output} quantises a sum of different square roots")
        lows, highs, zeros = ([int(p) for p in steps.per_channel(q)] for q in (low, high, zero))
        integers = steps.gather(lambda c, v: quantise(v, lows[c], highs[c]) + zeros[c], np.int64)
        self._result.quantised[node.output] = integers
        self._result.roundings[node.output] = rounding
        return Live.of(self._given.get(node.output, integers))
