"""Judges a float32 executor, decision by decision, against the exact meaning of the model file.

Each quantiser is judged on the inputs that the executor itself gave it, so one early difference
does not excuse what follows.  A difference counts as the executor's own rounding where the exact
value is no further from the decision boundary than a running error analysis of float32 allows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from tests.oracles.exact import ExactModel, ExactResult

Doubles = NDArray[np.float64]

UNIT = 2.0**-24  # float32's rounding, relative
TINY = 2.0**-140  # covers what underflow may lose in a sum
QUANTISERS = ("Quant", "BipolarQuant", "QuantizeLinear")


@dataclass
class Verdict:
    """Of `decisions`, `own_rounding` differ within the bound; `faults` are those that do not.

    Of `outputs` (final values), `inexact_outputs` are not the correctly rounded float32.
    """

    decisions: int = 0
    own_rounding: int = 0
    outputs: int = 0
    inexact_outputs: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Bounded:
    """Real values, and how far off any float32 execution may be, both as float64."""

    value: Doubles
    error: Doubles

    @property
    def size(self) -> Doubles:
        return np.abs(self.value) + self.error

    def rounded(self, times: float = 1.0) -> "Bounded":
        """After `times` more roundings."""
        return Bounded(self.value, self.error + times * UNIT * 1.01 * self.size + TINY)


def decisions(
    model: onnx.ModelProto, tensors: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.int64]]:
    """The integers that an executor's quantisers chose, from the values of its tensors."""
    chosen = {}
    for node in model.graph.node:
        if node.op_type not in QUANTISERS:
            continue
        values = np.asarray(tensors[node.output[0]], np.float64)
        if node.op_type != "QuantizeLinear":
            values = values / np.asarray(tensors[node.input[1]], np.float64)
        if node.op_type == "Quant":
            values = values + np.asarray(tensors[node.input[2]], np.float64)
        chosen[node.output[0]] = np.round(values).astype(np.int64)
    return chosen


def float32_errors(
    model: onnx.ModelProto, x: NDArray[Any], chosen: Mapping[str, NDArray[np.int64]]
) -> dict[str, Doubles]:
    """How far off a float32 executor that made the decisions `chosen` may be.

    Under a quantiser's output name: the error of its input in steps, before rounding; under every
    other tensor's name: the absolute error.
    """
    known = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    values = {name: _exactly(array) for name, array in known.items()}
    source = next(v.name for v in model.graph.input if v.name not in known)
    values[source] = _exactly(x)
    errors = {}
    for node in model.graph.node:
        name = node.output[0]
        inputs = [values[i] for i in node.input]
        if node.op_type in QUANTISERS:
            errors[name] = _steps(node.op_type, inputs).error
            values[name] = _chosen(node.op_type, chosen[name], inputs)
        else:
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            values[name] = _operator(node.op_type, attributes, inputs)
            errors[name] = values[name].error
    return errors


def judge(
    model: onnx.ModelProto,
    x: NDArray[Any],
    tensors: Mapping[str, NDArray[Any]],
    exact: tuple[ExactModel, ExactResult] | None = None,
) -> Verdict:
    """Judge an executor by its tensors: initialisers, quantiser outputs and the final output.

    `exact`: the model and what it means for `x`, to save the work where no decision differs.
    """
    chosen = decisions(model, tensors)
    if exact is not None and _agree(chosen, *exact):
        forced, result = exact
    else:
        forced = ExactModel(model, given=chosen)
        result = forced.run(x)
    errors = float32_errors(model, x, chosen)
    verdict = Verdict()
    for name, integers in {**forced.constants, **result.quantised}.items():
        verdict.decisions += integers.size
        rounding = {**forced.roundings, **result.roundings}[name]
        bounds = np.broadcast_to(errors[name], integers.shape)
        for index in np.argwhere(chosen[name] != integers):
            at = tuple(int(i) for i in index)
            gap = rounding.gap(at, int(chosen[name][at]))
            if gap <= bounds[at]:
                verdict.own_rounding += 1
            else:
                verdict.faults.append(
                    f"{name}{list(at)}: {chosen[name][at]}, exactly {integers[at]}; "
                    f"{gap:.3g} steps off where {bounds[at]:.3g} are rounding"
                )
    output = np.asarray(tensors[forced.output], np.float64)
    off = np.abs(output - result.output_float32)
    verdict.outputs = output.size
    verdict.inexact_outputs = int((off > 0).sum())
    excess = off - UNIT * np.abs(output) - errors.get(forced.output, np.zeros(()))
    if forced.output not in chosen and (excess > 0).any():
        verdict.faults.append(f"{forced.output}: off by {off.max():.3g}")
    return verdict


def _agree(chosen: Mapping[str, NDArray[np.int64]], model: ExactModel, result: ExactResult) -> bool:
    integers = {**model.constants, **result.quantised}
    return all(np.array_equal(chosen[name], integers[name]) for name in integers)


def _exactly(array: NDArray[Any]) -> Bounded:
    value = np.asarray(array, np.float64)
    return Bounded(value, np.zeros_like(value))


def _steps(op: str, inputs: list[Bounded]) -> Bounded:
    x = inputs[0]
    if op == "BipolarQuant":
        return x
    scale = np.abs(inputs[1].value)
    # Two roundings: some executors multiply by a rounded reciprocal.
    quotient = Bounded(x.value / scale, x.error / scale).rounded(2)
    if op == "QuantizeLinear":
        return quotient
    return Bounded(quotient.value + inputs[2].value, quotient.error).rounded()


def _chosen(op: str, integers: NDArray[np.int64], inputs: list[Bounded]) -> Bounded:
    """The value that a quantiser passes on."""
    value = integers.astype(np.float64)
    if op == "QuantizeLinear":
        return _exactly(value)
    if op == "Quant":
        value = value - inputs[2].value
    return _exactly(value * inputs[1].value).rounded()


def _product(a: Bounded, b: Bounded, bias: Bounded) -> Bounded:
    """In any order of summation, fused or not."""
    terms = a.value.shape[1] + 2
    passed = a.error @ np.abs(b.value) + a.size @ b.error + bias.error
    rounding = 1.01 * terms * UNIT * (a.size @ b.size + bias.size)
    return Bounded(a.value @ b.value + bias.value, passed + rounding + TINY)


def _batch_norm(
    x: Bounded, gamma: Bounded, beta: Bounded, mean: Bounded, variance: Bounded, epsilon: float
) -> Bounded:
    """Centred first, or as one gain and one offset: at most eight roundings of any part."""
    gain = gamma.value / np.sqrt(variance.value + epsilon)
    value = (x.value - mean.value) * gain + beta.value
    parts = (x.size + np.abs(mean.value)) * np.abs(gain) + np.abs(beta.value)
    return Bounded(value, x.error * np.abs(gain) + 8 * UNIT * parts + TINY)


def _operator(op: str, attributes: dict[str, Any], inputs: list[Bounded]) -> Bounded:
    x = inputs[0]
    if op == "Gemm":
        b, bias = inputs[1], inputs[2] if len(inputs) > 2 else _exactly(np.zeros(1))
        if attributes.get("transB", 0):
            b = Bounded(b.value.T, b.error.T)
        return _product(x, b, bias)
    if op == "MatMul":
        return _product(x, inputs[1], _exactly(np.zeros(1)))
    if op == "Add":
        return Bounded(x.value + inputs[1].value, x.error + inputs[1].error).rounded()
    if op == "BatchNormalization":
        gamma, beta, mean, variance = inputs[1:]
        return _batch_norm(x, gamma, beta, mean, variance, attributes.get("epsilon", 1e-5))
    if op == "Relu":
        return Bounded(np.maximum(x.value, 0), x.error)
    if op == "Transpose":
        return Bounded(x.value.T, x.error.T)
    if op == "DequantizeLinear":
        axis = attributes.get("axis", 1)
        shape = [-1 if i == axis % x.value.ndim else 1 for i in range(x.value.ndim)]
        scale, zero = (
            p.value.reshape(shape) if p.value.size > 1 else p.value.reshape(()) for p in inputs[1:3]
        )
        return _exactly((x.value - zero) * scale).rounded()
    raise NotImplementedError(op)
