"""The exact meaning of the operators that do not round, on constants and live tensors alike."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from tests.oracles.live import Constant, Live
from tests.oracles.rational import Fraction
from tests.oracles.reals import Real, Surd, add, compare, multiply, sign, times_root, truncated

Tensor = Constant | Live


class Unsupported(Exception):
    """The evaluator has no exact meaning for this file."""


class Node:
    """A node of the file with its attributes as Python values."""

    def __init__(self, proto: onnx.NodeProto) -> None:
        self.domain, self.op = proto.domain, proto.op_type
        self.inputs = list(proto.input)
        if len(proto.output) != 1:
            raise Unsupported(f"{self.op} with {len(proto.output)} outputs")
        self.output = proto.output[0]
        self._attributes = {a.name: helper.get_attribute_value(a) for a in proto.attribute}

    def get(self, name: str, default: Any) -> Any:
        return self._attributes.get(name, default)

    def fraction(self, name: str, default: float) -> Fraction:
        return Fraction(self.get(name, default))


def scalar(value: int | Fraction) -> Constant:
    array = np.empty((), object)
    array[()] = Fraction(value)
    return array


def apply(function: Callable[..., Real], x: Tensor, *parameters: Constant) -> Tensor:
    """`function(element, *parameters)` with ONNX broadcasting."""
    if isinstance(x, Live):
        return x.map(function, *parameters)
    result = np.frompyfunc(function, 1 + len(parameters), 1)(x, *parameters)
    return np.asarray(result, object)


def along(axis: int, parameter: Constant, x: Tensor) -> Constant:
    """A per-axis parameter, shaped to broadcast against `x`."""
    if parameter.size == 1:
        return parameter.reshape(())
    rank = 2 if isinstance(x, Live) else x.ndim
    return parameter.reshape([-1 if i == axis % rank else 1 for i in range(rank)])


def _live_first(
    op: Callable[[Real, Fraction], Real], turned: Callable[[Real, Fraction], Real]
) -> Any:
    def evaluate(node: Node, a: Tensor, b: Tensor) -> Tensor:
        if isinstance(b, Live):
            if isinstance(a, Live):
                raise Unsupported(f"{node.op} of two live tensors")
            return apply(turned, b, a)
        return apply(op, a, b)

    return evaluate


def _inverse_times(value: Real, by: Fraction) -> Real:
    if isinstance(value, Surd):
        raise Unsupported("division by an irrational number")
    return by / value


def as_integers(values: Iterable[Fraction]) -> tuple[Fraction, list[int]]:
    """The largest unit of which all of `values` are integer multiples, and those integers."""
    values = list(values)
    denominator = math.lcm(*(v.denominator for v in values))
    numerators = [v.numerator * (denominator // v.denominator) for v in values]
    divisor = math.gcd(*numerators) or 1
    return Fraction(divisor, denominator), [n // divisor for n in numerators]


def product(x: Tensor, weight: Tensor, bias: Constant) -> Tensor:
    """`x @ weight + bias` for a constant weight (inputs, outputs)."""
    if isinstance(weight, Live):
        raise Unsupported("a product with a live right side")
    if not isinstance(x, Live):
        return np.asarray(x.dot(weight) + bias, object)
    exact = x.exact and all(not isinstance(v, Surd) for table in x.tables for v in table)
    columns = [
        as_integers(truncated(v, 256) if isinstance(v, Surd) else v for v in table)
        for table in x.tables
    ]
    units = np.array([unit for unit, _ in columns], object)
    by_output = [as_integers(column) for column in (units[:, None] * weight).T]
    multipliers = np.array([integers for _, integers in by_output], object).T
    tables = [np.array(integers, object) for _, integers in columns]
    largest = np.array([max(abs(table)) for table in tables], object)
    bound = max(largest.dot(abs(multipliers)))
    # Doubles hold every partial sum below 2⁵³ exactly, and their products are fast.
    dtype: Any = np.float64 if bound < 1 << 53 else np.int64 if bound < 1 << 63 else object
    inputs = np.empty(x.codes.shape, dtype)
    for c, table in enumerate(tables):
        inputs[:, c] = table.astype(dtype)[x.codes[:, c]]
    sums = inputs @ multipliers.astype(dtype)
    result = Live.of(sums if dtype is object else sums.astype(np.int64))
    scales = np.array([unit for unit, _ in by_output], object)
    scaled = result.map(lambda n, unit, b: n * unit + b, scales, bias)
    return Live(scaled.codes, scaled.tables, exact)


def gemm(node: Node, a: Tensor, b: Tensor, c: Constant | None = None) -> Tensor:
    if node.get("transA", 0):
        if isinstance(a, Live):
            raise Unsupported("Gemm that transposes its live input")
        a = a.T
    if node.get("transB", 0) and not isinstance(b, Live):
        b = b.T
    alpha, beta = node.fraction("alpha", 1.0), node.fraction("beta", 1.0)
    bias = scalar(0) if c is None else np.asarray(c * beta, object)
    return product(a, b if isinstance(b, Live) else np.asarray(b * alpha, object), bias)


def batch_normalization(
    node: Node, x: Tensor, scale: Constant, shift: Constant, mean: Constant, variance: Constant
) -> Tensor:
    if node.get("training_mode", 0):
        raise Unsupported("BatchNormalization in training mode")
    if not isinstance(x, Live):
        raise Unsupported("BatchNormalization of a constant")
    epsilon = node.fraction("epsilon", float(np.float32(1e-5)))

    def normalise(
        v: Real, gamma: Fraction, beta: Fraction, mean: Fraction, variance: Fraction
    ) -> Real:
        centred = multiply(add(v, -mean), gamma)
        try:
            return add(times_root(centred, 1 / (variance + epsilon)), beta)
        except ArithmeticError as error:
            raise Unsupported(str(error)) from error

    return x.map(normalise, scale, shift, mean, variance)


def relu(node: Node, x: Tensor) -> Tensor:
    return apply(lambda v: v if sign(v) > 0 else Fraction(0), x)


def leaky_relu(node: Node, x: Tensor) -> Tensor:
    alpha = node.fraction("alpha", float(np.float32(0.01)))
    return apply(lambda v: v if sign(v) > 0 else multiply(v, alpha), x)


def clip(
    node: Node, x: Tensor, low: Constant | None = None, high: Constant | None = None
) -> Tensor:
    lowest = low.item() if low is not None else node.get("min", None)
    highest = high.item() if high is not None else node.get("max", None)
    # The order is the standard's: the upper bound wins where the bounds cross.
    if lowest is not None:
        x = apply(lambda v: v if compare(v, Fraction(lowest)) > 0 else Fraction(lowest), x)
    if highest is not None:
        x = apply(lambda v: v if compare(v, Fraction(highest)) < 0 else Fraction(highest), x)
    return x


def dequantize_linear(
    node: Node, x: Tensor, scale: Constant, zero: Constant | None = None
) -> Tensor:
    axis = node.get("axis", 1)
    zero = scalar(0) if zero is None else zero
    return apply(lambda n, s, z: (n - z) * s, x, along(axis, scale, x), along(axis, zero, x))


def identity(node: Node, x: Tensor, *_: Any) -> Tensor:
    return x


def reshape(node: Node, x: Tensor, shape: Constant) -> Tensor:
    sizes = [int(size) for size in shape.ravel()]
    if not isinstance(x, Live):
        return x.reshape([x.shape[i] if size == 0 else size for i, size in enumerate(sizes)])
    if len(sizes) != 2 or sizes[1] not in (-1, 0, x.channels):
        raise Unsupported(f"Reshape of a live tensor to {sizes}")
    return x


def flatten(node: Node, x: Tensor) -> Tensor:
    if node.get("axis", 1) != 1 or not isinstance(x, Live):
        raise Unsupported("Flatten of a constant, or about another axis than 1")
    return x


def transpose(node: Node, x: Tensor) -> Tensor:
    if isinstance(x, Live):
        raise Unsupported("Transpose of a live tensor")
    return x.transpose(node.get("perm", None))


def constant(node: Node) -> Tensor:
    value = node.get("value", None)
    if value is not None:
        return from_tensor(value)
    for name in ("value_float", "value_int", "value_floats", "value_ints"):
        value = node.get(name, None)
        if value is not None:
            return from_array(np.asarray(value))
    raise Unsupported("Constant without a number")


def arg_max(node: Node, x: Tensor) -> Tensor:
    if not isinstance(x, Live) or node.get("axis", 0) not in (1, -1):
        raise Unsupported("ArgMax over another axis than the last, or of a constant")
    order = x.ranks()
    if node.get("select_last_index", 0):
        best = x.channels - 1 - np.argmax(order[:, ::-1], axis=1)
    else:
        best = np.argmax(order, axis=1)
    return Live.of(best[:, None])


def from_array(array: NDArray[Any]) -> Constant:
    """The elements at their exact values, each a `Fraction`."""
    if not np.all(np.isfinite(array)):
        raise Unsupported("a constant that is not finite")
    result = np.empty(array.shape, object)
    result.ravel()[:] = [Fraction(value) for value in array.ravel().tolist()]
    return result


def from_tensor(tensor: onnx.TensorProto) -> Constant:
    return from_array(onnx.numpy_helper.to_array(tensor))


OPERATORS: dict[str, Callable[..., Tensor]] = {
    "Add": _live_first(add, add),
    "Sub": _live_first(lambda a, b: add(a, -b), lambda b, a: add(multiply(b, Fraction(-1)), a)),
    "Mul": _live_first(multiply, multiply),
    "Div": _live_first(lambda a, b: multiply(a, 1 / b), _inverse_times),
    "Gemm": gemm,
    "MatMul": lambda node, a, b: product(a, b, scalar(0)),
    "BatchNormalization": batch_normalization,
    "Relu": relu,
    "LeakyRelu": leaky_relu,
    "Clip": clip,
    "DequantizeLinear": dequantize_linear,
    "Identity": identity,
    "Cast": identity,
    "Reshape": reshape,
    "Flatten": flatten,
    "Transpose": transpose,
    "Constant": constant,
    "ArgMax": arg_max,
}
