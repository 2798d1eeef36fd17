"""Updates of parameters: the next value of each from its gradient."""

from numpy.random import Generator

from edgetrain.compiler.expr import Dim, Expr, add, fma, mul, sub
from edgetrain.compiler.nest import Nest, Out, Read
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import FLOAT32, TensorType


def _dims(kind: TensorType) -> tuple[tuple[str, int], ...]:
    return tuple((f"i{axis}", length) for axis, length in enumerate(kind.shape))


def _sgd_example(rng: Generator) -> Example:
    shape = tuple(int(v) for v in rng.integers(1, 12, int(rng.integers(1, 3))))
    return Example((TensorType(shape, FLOAT32),) * 2, {"rate": 0.01, "decay": 0.001})


@register("sgd", _sgd_example)
def sgd(w: TensorType, g: TensorType, *, rate: float, decay: float = 0.0) -> Nest:
    """w − rate·(g + decay·w), element by element; w, g of one shape."""
    dims = _dims(w)
    index = tuple(Dim(*d) for d in dims)
    w_read, g_read = Read("w", index, w), Read("g", index, g)
    gradient: Expr = g_read.value
    if decay:
        gradient = add(gradient, mul(w_read.value, decay))
    body = sub(w_read.value, mul(gradient, rate))
    out = Out("y", tuple(name for name, _ in dims), body.type, body)
    return Nest(dims, (w_read, g_read), (out,))


def _momentum_example(rng: Generator) -> Example:
    return Example(_sgd_example(rng).operands, {"momentum": 0.9})


@register("momentum", _momentum_example)
def momentum_op(m: TensorType, g: TensorType, *, momentum: float) -> Nest:
    """momentum·m + g, element by element: what is remembered of earlier gradients."""
    dims = _dims(m)
    index = tuple(Dim(*d) for d in dims)
    m_read, g_read = Read("m", index, m), Read("g", index, g)
    body = add(mul(m_read.value, momentum), g_read.value)
    out = Out("y", tuple(name for name, _ in dims), body.type, body)
    return Nest(dims, (m_read, g_read), (out,))


def _rank_one_example(rng: Generator) -> Example:
    k, n = (int(v) for v in rng.integers(1, 20, 2))
    shapes = ((k, n), (k,), (n,))
    operands = tuple(TensorType(shape, FLOAT32) for shape in shapes)
    choices = {"fused": bool(rng.random() < 0.5), "scale_x": bool(rng.random() < 0.5)}
    return Example(operands, {"factor": -0.01, **choices})


@register("rank_one", _rank_one_example)
def rank_one(
    w: TensorType, x: TensorType, d: TensorType, *, factor: float, fused: bool, scale_x: bool
) -> Nest:
    """y[k,n] = w[k,n] + x[k]·d[n]·factor: the factor meets d first, or x if `scale_x`; the product
    of all three is rounded by itself unless `fused`."""
    k, n = Dim("k", w.shape[0]), Dim("n", w.shape[1])
    w_read, x_read, d_read = Read("w", (k, n), w), Read("x", (k,), x), Read("d", (n,), d)
    left: Expr = mul(x_read.value, factor) if scale_x else x_read.value
    right: Expr = d_read.value if scale_x else mul(d_read.value, factor)
    body = fma(left, right, w_read.value)
    if not fused:
        body = add(w_read.value, mul(left, right))
    dims = (("k", k.size), ("n", n.size))
    return Nest(dims, (w_read, x_read, d_read), (Out("y", ("k", "n"), body.type, body),))
