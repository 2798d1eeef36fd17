"""Elementwise arithmetic."""

from numpy.random import Generator

from edgetrain.compiler.expr import Dim, add, mul
from edgetrain.compiler.nest import Nest, Out, Read
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import FLOAT32, Int, TensorType


def _example(rng: Generator) -> Example:
    n = int(rng.integers(1, 40))
    if rng.random() < 0.3:
        return Example((TensorType((n,), FLOAT32),) * 3)
    a = Int(-(2**40), 2**40) if rng.random() < 0.5 else Int(-7, 9)
    kinds = (Int(-1000, 1000), a, Int(-(2**30), 2**33))
    return Example(tuple(TensorType((n,), kind) for kind in kinds))


@register("affine", _example)
def affine(x: TensorType, a: TensorType, b: TensorType) -> Nest:
    """y[n] = x[n]·a[n] + b[n]; all (N)."""
    (n_size,) = x.shape
    n = Dim("n", n_size)
    reads = (Read("x", (n,), x), Read("a", (n,), a), Read("b", (n,), b))
    body = add(mul(reads[0].value, reads[1].value), reads[2].value)
    return Nest((("n", n_size),), reads, (Out("y", ("n",), body.type, body),))
