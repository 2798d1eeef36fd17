"""Probabilities of classes, as a value of the graph."""

from typing import TYPE_CHECKING

from numpy.random import Generator

from edgetrain.compiler.expr import Dim, div, mul, sub
from edgetrain.compiler.nest import Nest, elementwise, reduction
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import FLOAT32, TensorType

if TYPE_CHECKING:
    from edgetrain.compiler.graph import GraphBuilder, Value

_NUMBER = TensorType((), FLOAT32)


def softmax(b: "GraphBuilder", z: "Value") -> "Value":
    """exp(z[n]) / Σ exp(z), z a vector of finite numbers."""
    e = b.apply("exp_shifted", z, b.apply("greatest", z, z))
    return b.apply("divide_by", e, b.apply("sum", e))


def softmax_gradient(b: "GraphBuilder", p: "Value", d: "Value") -> "Value":
    """The gradient by z, where d is that by p = softmax(z)."""
    return b.apply("softmax_gradient", p, d, b.apply("dot", p, d))


def _vectors(rng: Generator, count: int, *more: TensorType) -> Example:
    return Example((TensorType((int(rng.integers(1, 20)),), FLOAT32),) * count + more)


@register("divide_by", lambda rng: _vectors(rng, 1, _NUMBER))
def divide_by(x: TensorType, s: TensorType) -> Nest:
    """y[n] = x[n]/s; x (N), s a scalar."""
    return elementwise((Dim("n", x.shape[0]),), div, x=x, s=s)


@register("dot", lambda rng: _vectors(rng, 2))
def dot(a: TensorType, b: TensorType) -> Nest:
    """y = Σ_n a[n]·b[n]; both (N)."""
    return reduction((Dim("n", a.shape[0]),), "add", mul, 0.0, a=a, b=b)


@register("softmax_gradient", lambda rng: _vectors(rng, 2, _NUMBER))
def softmax_gradient_op(p: TensorType, d: TensorType, s: TensorType) -> Nest:
    """dz[n] = p[n]·(d[n] − s); p = softmax(z), d its gradient, s = Σ p·d."""
    n = Dim("n", p.shape[0])
    return elementwise((n,), lambda p, d, s: mul(p, sub(d, s)), p=p, d=d, s=s)
