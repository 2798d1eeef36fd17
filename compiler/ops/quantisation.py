"""From accumulators to the integers of the next layer."""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from edgetrain.compiler.expr import Dim, Expr, add, clamp, le, lift, lt, mul, select, shift_right
from edgetrain.compiler.nest import Nest, Out, Read, axes, elementwise, fold
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import FLOAT32, Float, Int, TensorType

if TYPE_CHECKING:
    from edgetrain.compiler.graph import GraphBuilder, Node, Value

Array: TypeAlias = NDArray[Any]


def _threshold_example(rng: Generator) -> Example:
    n, levels = int(rng.integers(1, 30)), int(rng.choice([1, 3, 7, 15, 40]))
    x = TensorType((n,), Int(-300, 500))
    return Example(
        (x, TensorType((n, levels), Int(-300, 501))),
        {"lowest": int(rng.integers(-9, 9))},
        sorted_operands=(1,),
    )


def _threshold_gradient(
    b: "GraphBuilder", node: "Node", d: "Value", _needed: tuple[bool, ...]
) -> "tuple[Value | None, ...]":
    """Straight through, within the limits."""
    x, _ = node.inputs
    lo, hi = np.array(node.attributes["limits"], np.int64).T
    return _passed(b, d, x, lo, hi, np.array(node.attributes["slope"])), None


def _passed(
    b: "GraphBuilder", d: "Value", x: "Value", lo: Array, hi: Array, slope: Array
) -> "Value":
    """d·slope where lo ≤ x < hi; an integer d stays d there, and counts another unit."""
    columns = [lo, hi]
    if isinstance(d.type.scalar, Float):
        columns.append(slope.astype(np.float32))
    return b.apply("straight_through", d, x, *map(b.constant, columns))


@register("threshold", _threshold_example, _threshold_gradient)
def threshold(
    x: TensorType,
    t: TensorType,
    *,
    lowest: int = 0,
    limits: tuple[tuple[int, int], ...] = (),
    slope: tuple[float, ...] = (),
) -> Nest:
    """y[n] = lowest + the number of thresholds t[n,·] that are ≤ x[n]; x (N), t (N, L).

    For its gradient only: `slope` is how many codes y rises by a unit of x, between the `limits`,
    (lo, hi) a channel.
    """
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


def _straight_example(rng: Generator) -> Example:
    n = int(rng.integers(1, 30))
    floats, integers = TensorType((n,), FLOAT32), TensorType((n,), Int(-300, 500))
    if rng.random() < 0.3:
        return Example((integers,) * 4)
    return Example((floats, integers, integers, integers, floats))


@register("straight_through", _straight_example)
def straight_through(
    d: TensorType, x: TensorType, lo: TensorType, hi: TensorType, slope: TensorType | None = None
) -> Nest:
    """dx[n] = d[n]·slope[n], or d[n], where lo[n] ≤ x[n] < hi[n], else 0; all (N).

    The gradient of a staircase as if it were the line through it (Bengio et al., "Estimating or
    propagating gradients through stochastic neurons for conditional computation", 2013).
    """

    def passed(d: Expr, x: Expr, lo: Expr, hi: Expr, slope: Expr | None = None) -> Expr:
        back = d if slope is None else mul(d, slope)
        zero = lift(0, back.type)
        return select(le(lo, x), select(lt(x, hi), back, zero), zero)

    return elementwise(axes(d.shape), passed, d=d, x=x, lo=lo, hi=hi, slope=slope)


def _requantise_example(rng: Generator) -> Example:
    n = int(rng.integers(1, 30))
    operands = (
        TensorType((n,), Int(-5000, 9000)),
        TensorType((n,), Int(0, int(rng.choice([2**9, 2**30])))),
        TensorType((n,), Int(-(2**20), 2**20)),
    )
    return Example(operands, {"shift": int(rng.integers(0, 30)), "within": Int(-128, 127)})


def _requantise_gradient(
    b: "GraphBuilder", node: "Node", d: "Value", _needed: tuple[bool, ...]
) -> "tuple[Value | None, ...]":
    """Straight through where nothing is clamped, for constant m and b."""
    x, m, offset = node.inputs
    arrays = [b.array_of(value) for value in (m, offset)]
    if any(array is None for array in arrays):
        return None, None, None
    factor, start = (np.asarray(array, object) for array in arrays)
    shift, within = node.attributes["shift"], node.attributes["within"]
    edges = ((level << shift) - start for level in (within.lo, within.hi + 1))
    lo, hi = (np.clip(-(-edge // factor), -(2**62), 2**62).astype(np.int64) for edge in edges)
    return _passed(b, d, x, lo, hi, factor / 2**shift), None, None


@register("requantise", _requantise_example, _requantise_gradient)
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
