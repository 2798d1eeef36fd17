"""How a network's loss depends on the steps of its weights."""

from numpy.random import Generator

from edgetrain.compiler.expr import Dim, Expr, as_float, lift, lt, mul, select, sub, to_float, widen
from edgetrain.compiler.nest import Nest, Out, Read, fold
from edgetrain.compiler.ops.powers import power_of
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import FLOAT16, FLOAT32, Int, TensorType


def _example(rng: Generator) -> Example:
    k, n = (int(v) for v in rng.integers(1, 20, 2))
    powers = bool(rng.integers(2))
    kinds = (
        TensorType((k,), Int(0, 3)),
        TensorType((n,), FLOAT32),
        TensorType((k, n), FLOAT16 if rng.random() < 0.3 else Int(-100, 100)),
        TensorType((k, n), Int(-3, 3)),
        TensorType((n,), FLOAT32),
    )
    return Example(kinds, {"unit": 2.0**-5, "lo": -3, "hi": 3, "powers": powers})


@register("scale_gradient", _example)
def scale_gradient(
    x: TensorType,
    d: TensorType,
    v: TensorType,
    w: TensorType,
    p: TensorType,
    *,
    unit: float,
    lo: int,
    hi: int,
    powers: bool = False,
) -> Nest:
    """y[n] = d[n]·Σ_k x[k]·s[k,n], where s = w − t for t = v·unit·p between `lo` and `hi`, else w;
    x (K), d (N), v and w (K, N), p (N), w integers or, with `powers`, their codes.

    The gradient by the step of a column of weights w, rounded from t steps, where d is that by the
    products' sums with weights in real units (Esser et al., "Learned step size quantization", 2020,
    equation 3).
    """
    k, n = Dim("k", x.shape[0]), Dim("n", d.shape[0])
    reads = (
        Read("x", (k,), x),
        Read("d", (n,), d),
        Read("v", (k, n), v),
        Read("w", (k, n), w),
        Read("p", (n,), p),
    )
    from_x, by, latent, weight, inverse = (read.value for read in reads)
    number: Expr = widen(latent) if v.scalar == FLOAT16 else as_float(latent)
    steps = mul(mul(number, unit), inverse)
    level = to_float(power_of(weight) if powers else weight)
    inside = select(lt(float(lo), steps), lt(steps, float(hi)), 0)
    slope = select(inside, sub(level, steps), level)
    total = fold("add", mul(as_float(from_x), slope), lift(0.0, FLOAT32), k.size)
    out = Out("y", ("n",), FLOAT32, mul(by, total.result), total)
    return Nest((("n", n.size), ("k", k.size)), reads, (out,))
