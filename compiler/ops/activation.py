"""Activation functions."""

from numpy.random import Generator

from edgetrain.compiler.expr import Dim, lift, lt, maximum, mul, select
from edgetrain.compiler.nest import Nest, Out, Read
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import FLOAT32, Int, TensorType


def _relu_example(rng: Generator) -> Example:
    n = int(rng.integers(1, 40))
    return Example((TensorType((n,), FLOAT32 if rng.random() < 0.5 else Int(-50, 70)),))


@register("relu", _relu_example)
def relu(x: TensorType) -> Nest:
    """y[n] = x[n] if 0 < x[n] else +0 (so too for NaN); x (N)."""
    (n_size,) = x.shape
    read = Read("x", (Dim("n", n_size),), x)
    body = maximum(lift(0, x.scalar), read.value)
    return Nest((("n", n_size),), (read,), (Out("y", ("n",), body.type, body),))


def _leaky_example(rng: Generator) -> Example:
    return Example((TensorType((int(rng.integers(1, 40)),), FLOAT32),), {"slope": 0.125})


@register("leaky_relu", _leaky_example)
def leaky_relu(x: TensorType, *, slope: float) -> Nest:
    """y[n] = x[n]·slope if x[n] < 0 else x[n]; x (N) float."""
    (n_size,) = x.shape
    read = Read("x", (Dim("n", n_size),), x)
    body = select(lt(read.value, 0.0), mul(read.value, slope), read.value)
    return Nest((("n", n_size),), (read,), (Out("y", ("n",), body.type, body),))
