"""Activation functions."""

from typing import TYPE_CHECKING

from numpy.random import Generator

from edgetrain.compiler.expr import Dim, lift, lt, maximum, mul, select, sub
from edgetrain.compiler.nest import Nest, elementwise
from edgetrain.compiler.ops.functions import sigmoid, tanh
from edgetrain.compiler.ops.registry import Example, Gradient, register
from edgetrain.compiler.types import FLOAT32, Int, TensorType

if TYPE_CHECKING:
    from edgetrain.compiler.graph import GraphBuilder, Node, Value


def _along(x: TensorType) -> tuple[Dim, ...]:
    """The dims of a vector, or of as many rows of one."""
    return tuple(Dim(name, size) for name, size in zip("jn"[-len(x.shape) :], x.shape, strict=True))


def _pair_example(rng: Generator) -> Example:
    return Example((TensorType((int(rng.integers(1, 40)),), FLOAT32),) * 2)


def _of_result(op: str) -> Gradient:
    """A gradient that needs the function's result and what comes back."""

    def gradient(
        b: "GraphBuilder", node: "Node", d: "Value", _needed: tuple[bool, ...]
    ) -> "tuple[Value | None, ...]":
        return (b.apply(op, node.outputs[0], d, **node.attributes),)

    return gradient


def _relu_example(rng: Generator) -> Example:
    n = int(rng.integers(1, 40))
    return Example((TensorType((n,), FLOAT32 if rng.random() < 0.5 else Int(-50, 70)),))


@register("relu", _relu_example, _of_result("relu_gradient"))
def relu(x: TensorType) -> Nest:
    """y[n] = x[n] if 0 < x[n] else +0 (so too for NaN); x (N)."""
    return elementwise(_along(x), lambda x: maximum(lift(0, x.type), x), x=x)


def _leaky_example(rng: Generator) -> Example:
    return Example((TensorType((int(rng.integers(1, 40)),), FLOAT32),), {"slope": 0.125})


@register("leaky_relu", _leaky_example, _of_result("leaky_relu_gradient"))
def leaky_relu(x: TensorType, *, slope: float) -> Nest:
    """y[n] = x[n]·slope if x[n] < 0 else x[n]; x (N) float."""
    return elementwise(_along(x), lambda x: select(lt(x, 0.0), mul(x, slope), x), x=x)


@register("relu_gradient", _pair_example)
def relu_gradient(y: TensorType, d: TensorType) -> Nest:
    """dx[n] = d[n] if 0 < y[n] else 0; y is the result of relu."""
    return elementwise(_along(y), lambda y, d: select(lt(0.0, y), d, 0.0), x=y, d=d)


def _slope_example(rng: Generator) -> Example:
    return Example(_pair_example(rng).operands, {"slope": 0.125})


@register("leaky_relu_gradient", _slope_example)
def leaky_relu_gradient(y: TensorType, d: TensorType, *, slope: float) -> Nest:
    """dx[n] = d[n]·slope if y[n] < 0 else d[n]; y is the result of leaky_relu, slope > 0."""
    return elementwise(_along(y), lambda y, d: select(lt(y, 0.0), mul(d, slope), d), x=y, d=d)


def _float_vector(rng: Generator) -> Example:
    return Example((TensorType((int(rng.integers(1, 40)),), FLOAT32),))


@register("sigmoid", _float_vector, _of_result("sigmoid_gradient"))
def sigmoid_op(x: TensorType) -> Nest:
    """y[n] = 1/(1 + exp(−x[n])); x (N) float."""
    return elementwise(_along(x), sigmoid, x=x)


@register("sigmoid_gradient", _pair_example)
def sigmoid_gradient(y: TensorType, d: TensorType) -> Nest:
    """dx[n] = d[n]·y[n]·(1 − y[n]); y is the result of sigmoid."""
    return elementwise(_along(y), lambda y, d: mul(d, mul(y, sub(1.0, y))), x=y, d=d)


@register("tanh", _float_vector, _of_result("tanh_gradient"))
def tanh_op(x: TensorType) -> Nest:
    """y[n] = tanh x[n]; x (N) float."""
    return elementwise(_along(x), tanh, x=x)


@register("tanh_gradient", _pair_example)
def tanh_gradient(y: TensorType, d: TensorType) -> Nest:
    """dx[n] = d[n]·(1 − y[n]²); y is the result of tanh."""
    return elementwise(_along(y), lambda y, d: mul(d, sub(1.0, mul(y, y))), x=y, d=d)
