"""From accumulators to the integers of the next layer."""

from numpy.random import Generator

from edgetrain.compiler.expr import Dim, add, clamp, le, lift, mul, shift_right
from edgetrain.compiler.nest import Nest, Out, Read, fold
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import Int, TensorType


def _threshold_example(rng: Generator) -> Example:
    n, levels = int(rng.integers(1, 30)), int(rng.choice([1, 3, 7, 15, 40]))
    x = TensorType((n,), Int(-300, 500))
    return Example(
        (x, TensorType((n, levels), Int(-300, 501))),
        {"lowest": int(rng.integers(-9, 9))},
        sorted_operands=(1,),
    )


@register("threshold", _threshold_example)
def threshold(x: TensorType, t: TensorType, *, lowest: int = 0) -> Nest:
    """y[n] = lowest + the number of thresholds t[n,·] that are ≤ x[n]; x (N), t (N, L)."""
    n_size, levels = t.shape
    n, level = Dim("n", n_size), Dim("t", levels)
    x_read, t_read = Read("x", (n,), x), Read("t", (n, level), t)
    count = fold("add", le(t_read.value, x_read.value), lift(0), levels)
    body = add(count.result, lowest) if lowest else count.result
    return Nest(
        (("n", n_size), ("t", levels)),
        (x_read, t_read),
        (Out("y", ("n",), body.type, body, count),),
    )


def _requantise_example(rng: Generator) -> Example:
    n = int(rng.integers(1, 30))
    operands = (
        TensorType((n,), Int(-5000, 9000)),
        TensorType((n,), Int(0, int(rng.choice([2**9, 2**30])))),
        TensorType((n,), Int(-(2**20), 2**20)),
    )
    return Example(operands, {"shift": int(rng.integers(0, 30)), "within": Int(-128, 127)})


@register("requantise", _requantise_example)
def requantise(x: TensorType, m: TensorType, b: TensorType, *, shift: int, within: Int) -> Nest:
    """y[n] = (x[n]·m[n] + b[n]) >> shift, clamped to `within`; all (N)."""
    (n_size,) = x.shape
    n = Dim("n", n_size)
    x_read, m_read, b_read = Read("x", (n,), x), Read("m", (n,), m), Read("b", (n,), b)
    scaled = shift_right(add(mul(x_read.value, m_read.value), b_read.value), shift)
    return Nest(
        (("n", n_size),),
        (x_read, m_read, b_read),
        (Out("y", ("n",), within, clamp(scaled, within)),),
    )
