"""Fully connected layers."""

from numpy.random import Generator

from edgetrain.compiler.expr import Dim, Expr, lift, mul
from edgetrain.compiler.nest import Nest, Out, Read, fold
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import FLOAT32, Float, Int, TensorType


def _example(rng: Generator) -> Example:
    k, n = (int(v) for v in rng.integers(1, 40, 2))
    if rng.random() < 0.3:
        kinds = [TensorType(s, FLOAT32) for s in ((k,), (k, n), (n,))]
        return Example(tuple(kinds))
    bits = int(rng.integers(1, 9))
    x = Int(0, 2**bits - 1) if rng.random() < 0.5 else Int(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    half = 2 ** (int(rng.integers(2, 9)) - 1)
    return Example((TensorType((k,), x), TensorType((k, n), Int(-half, half - 1))))


@register("matmul", _example)
def matmul(
    x: TensorType, w: TensorType, b: TensorType | None = None, *, within: Int | None = None
) -> Nest:
    """y[n] = b[n] + Σ_k x[k]·w[k,n]; x (K), w (K, N), b (N) or absent.

    `within`: every partial sum is known to lie in it, whatever the order (from the weights).
    """
    (k_size, n_size) = w.shape
    k, n = Dim("k", k_size), Dim("n", n_size)
    x_read, w_read = Read("x", (k,), x), Read("w", (k, n), w)
    reads = [x_read, w_read]
    init: Expr = lift(0.0, w.scalar) if isinstance(w.scalar, Float) else lift(0)
    if b is not None:
        reads.append(Read("b", (n,), b))
        init = reads[-1].value
    total = fold("add", mul(x_read.value, w_read.value), init, k_size, within)
    return Nest(
        (("n", n_size), ("k", k_size)),
        tuple(reads),
        (Out("y", ("n",), total.type, total.result, total),),
    )
