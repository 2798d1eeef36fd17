"""Fully connected layers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from numpy.random import Generator

from edgetrain.compiler.expr import Dim, Expr, lift, mul, product, shift_left, shift_right
from edgetrain.compiler.nest import Nest, Out, Read, fold
from edgetrain.compiler.ops.powers import power_of, twice_times_power
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import FLOAT32, Int, TensorType

if TYPE_CHECKING:
    from edgetrain.compiler.graph import GraphBuilder, Node, Value


def _example(rng: Generator) -> Example:
    k, n = (int(v) for v in rng.integers(1, 40, 2))
    if rng.random() < 0.3:
        kinds = [TensorType(s, FLOAT32) for s in ((k,), (k, n), (n,))]
        return Example(tuple(kinds))
    bits = int(rng.integers(1, 9))
    x = Int(0, 2**bits - 1) if rng.random() < 0.5 else Int(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if rng.random() < 0.3:
        codes = Int(-int(rng.integers(1, 9)), int(rng.integers(8)))
        return Example((TensorType((k,), x), TensorType((k, n), codes)), {"powers": True})
    half = 2 ** (int(rng.integers(2, 9)) - 1)
    return Example((TensorType((k,), x), TensorType((k, n), Int(-half, half - 1))))


def _matmul_gradient(
    b: "GraphBuilder", node: "Node", d: "Value", needed: tuple[bool, ...]
) -> "tuple[Value | None, ...]":
    """dx = W·d, dW = x dᵀ, db = d; of powers of two dW is by what the codes stand for."""
    x, w, *_ = node.inputs
    how = {"powers": True} if node.attributes.get("powers", False) else {}
    dx = b.apply("matmul_t", d, w, **how) if needed[0] else None
    dw = b.apply("outer", x, d) if needed[1] else None
    return (dx, dw, d)[: len(node.inputs)]


@register("matmul", _example, _matmul_gradient)
def matmul(
    x: TensorType,
    w: TensorType,
    b: TensorType | None = None,
    *,
    within: Int | None = None,
    powers: bool = False,
) -> Nest:
    """y[n] = b[n] + Σ_k x[k]·w[k,n]; x (K), w (K, N), b (N) or absent; with `powers` w are codes of
    powers of two, by which integers x are shifted.

    `within`: every partial sum is known to lie in it, whatever the order (from the weights).
    """
    (k_size, n_size) = w.shape
    k, n = Dim("k", k_size), Dim("n", n_size)
    x_read, w_read = Read("x", (k,), x), Read("w", (k, n), w)
    reads = [x_read, w_read]
    init: Expr = lift(0, w.scalar)
    if b is not None:
        reads.append(Read("b", (n,), b))
        init = reads[-1].value
    if powers:
        twice = within and Int(2 * within.lo, 2 * within.hi)
        term = twice_times_power(x_read.value, w_read.value)
        total = fold("add", term, shift_left(init, 1), k_size, twice)
        result = shift_right(total.result, 1)
    else:
        total = fold("add", mul(x_read.value, w_read.value), init, k_size, within)
        result = total.result
    dims = (("n", n_size), ("k", k_size))
    return Nest(dims, tuple(reads), (Out("y", ("n",), result.type, result, total),))


def _float_example(rng: Generator) -> Example:
    k, n = (int(v) for v in rng.integers(1, 40, 2))
    weights = FLOAT32 if rng.random() < 0.5 else Int(-2, 1)
    operands = TensorType((n,), FLOAT32), TensorType((k, n), weights)
    powers = weights != FLOAT32 and rng.random() < 0.5
    return Example(operands, {"powers": True} if powers else {})


@register("matmul_t", _float_example)
def matmul_t(d: TensorType, w: TensorType, *, powers: bool = False) -> Nest:
    """y[k] = Σ_n d[n]·w[k,n]; d (N), w (K, N), w of integers or of what d is of; with `powers` w
    are codes of powers of two."""
    k_size, n_size = w.shape
    k, n = Dim("k", k_size), Dim("n", n_size)
    d_read, w_read = Read("d", (n,), d), Read("w", (k, n), w)
    weight = power_of(w_read.value) if powers else w_read.value
    total = fold("add", product(d_read.value, weight), lift(0, d.scalar), n_size)
    out = Out("y", ("k",), total.type, total.result, total)
    return Nest((("k", k_size), ("n", n_size)), (d_read, w_read), (out,))


def _outer_example(rng: Generator) -> Example:
    k, n = (int(v) for v in rng.integers(1, 40, 2))
    inputs = FLOAT32 if rng.random() < 0.5 else Int(0, 3)
    return Example((TensorType((k,), inputs), TensorType((n,), FLOAT32)))


@register("outer", _outer_example)
def outer(x: TensorType, d: TensorType) -> Nest:
    """y[k,n] = x[k]·d[n]; x (K), d (N), x of integers or of what d is of."""
    k, n = Dim("k", x.shape[0]), Dim("n", d.shape[0])
    x_read, d_read = Read("x", (k,), x), Read("d", (n,), d)
    body = product(x_read.value, d_read.value)
    dims = (("k", k.size), ("n", n.size))
    return Nest(dims, (x_read, d_read), (Out("y", ("k", "n"), body.type, body),))


def _rows_example(rng: Generator) -> Example:
    j, k, n = (int(v) for v in rng.integers(1, 20, 3))
    return Example((TensorType((j, k), FLOAT32), TensorType((k, n), FLOAT32)))


def _rows_gradient(
    b: "GraphBuilder", node: "Node", d: "Value", needed: tuple[bool, ...]
) -> "tuple[Value | None, ...]":
    """dW = xᵀ d; of x there is none."""
    x, _ = node.inputs
    return None, b.apply("outer_sum", x, d) if needed[1] else None


@register("matmul_rows", _rows_example, _rows_gradient)
def matmul_rows(x: TensorType, w: TensorType) -> Nest:
    """y[j,n] = Σ_k x[j,k]·w[k,n]; x (J, K), w (K, N), floats."""
    return _product(("j", "n"), "k", {"x": "jk", "w": "kn"}, x=x, w=w)


def _outer_sum_example(rng: Generator) -> Example:
    j, k, n = (int(v) for v in rng.integers(1, 20, 3))
    return Example((TensorType((j, k), FLOAT32), TensorType((j, n), FLOAT32)))


@register("outer_sum", _outer_sum_example)
def outer_sum(x: TensorType, d: TensorType) -> Nest:
    """y[k,n] = Σ_j x[j,k]·d[j,n]; x (J, K), d (J, N), floats."""
    return _product(("k", "n"), "j", {"x": "jk", "d": "jn"}, x=x, d=d)


def _product(
    kept: tuple[str, str], folded: str, axes: Mapping[str, str], /, **operands: TensorType
) -> Nest:
    """The sum over `folded` of the product of both operands, whose axes are named."""
    sizes = {
        axis: size
        for name, kind in operands.items()
        for axis, size in zip(axes[name], kind.shape, strict=True)
    }
    reads = [
        Read(name, tuple(Dim(axis, sizes[axis]) for axis in axes[name]), kind)
        for name, kind in operands.items()
    ]
    left, right = (read.value for read in reads)
    total = fold("add", mul(left, right), lift(0.0, left.type), sizes[folded])
    dims = tuple((axis, sizes[axis]) for axis in (*kept, folded))
    return Nest(dims, tuple(reads), (Out("y", kept, total.type, total.result, total),))
