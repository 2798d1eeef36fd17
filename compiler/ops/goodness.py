"""How much a layer is excited: its goodness, and the loss that drives it over or under a
threshold (Hinton, "The Forward-Forward Algorithm", 2022)."""

from numpy.random import Generator

from edgetrain.compiler.expr import Dim, Expr, add, div, lift, mul, sqrt, sub
from edgetrain.compiler.nest import Nest, elementwise, reduction
from edgetrain.compiler.ops.functions import sigmoid, softplus
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import FLOAT32, TensorType

LEAST_LENGTH = 1e-4
"""Added to a length, so that a layer at rest is divided by more than nothing."""

_NUMBER = TensorType((), FLOAT32)


@register("square_sum", lambda rng: Example((TensorType((int(rng.integers(1, 40)),), FLOAT32),)))
def square_sum(x: TensorType) -> Nest:
    """y = Σ_n x[n]²; x (N)."""
    return reduction((Dim("n", x.shape[0]),), "add", lambda x: mul(x, x), 0.0, x=x)


@register("inverse_length", lambda _: Example((_NUMBER,)))
def inverse_length(s: TensorType) -> Nest:
    """y = 1/(√s + 10⁻⁴), for the sum s of a vector's squares; s a scalar."""
    return elementwise((), lambda s: div(1.0, add(sqrt(s), LEAST_LENGTH)), s=s)


def _contrast_example(rng: Generator) -> Example:
    return Example((_NUMBER, _NUMBER), {"threshold": float(rng.choice([0.5, 2.0]))})


@register("contrast", _contrast_example)
def contrast(good: TensorType, bad: TensorType, *, threshold: float) -> Nest:
    """y = log(1 + exp(threshold − good)) + log(1 + exp(bad − threshold)); good, bad scalars."""

    def body(good: Expr, bad: Expr) -> Expr:
        limit = lift(threshold, good.type)
        return add(softplus(sub(limit, good)), softplus(sub(bad, limit)))

    return elementwise((), body, good=good, bad=bad)


def _slope_example(rng: Generator) -> Example:
    return Example((_NUMBER,), {"threshold": 2.0, "good": bool(rng.random() < 0.5)})


@register("contrast_slope", _slope_example)
def contrast_slope(g: TensorType, *, threshold: float, good: bool) -> Nest:
    """y = 2·d contrast/dg, by the good or the bad g, a scalar.

    With g = Σ a², y·a is the gradient by a.
    """

    def body(g: Expr) -> Expr:
        limit = lift(threshold, g.type)
        return mul(sigmoid(sub(limit, g)), -2.0) if good else mul(sigmoid(sub(g, limit)), 2.0)

    return elementwise((), body, g=g)
