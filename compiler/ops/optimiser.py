"""Updates of parameters: the next value of each from its gradient."""

from numpy.random import Generator

from edgetrain.compiler.expr import Dim, Expr, Operand, add, as_float, div, fma, mul, sqrt, sub
from edgetrain.compiler.nest import Nest, Out, Read, axes, elementwise
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import FLOAT32, Int, TensorType


def _pair(rng: Generator) -> tuple[TensorType, TensorType]:
    shape = tuple(int(v) for v in rng.integers(1, 12, int(rng.integers(1, 3))))
    return TensorType(shape, FLOAT32), TensorType(shape, FLOAT32)


def _with_rate(rng: Generator, *operands: TensorType, **attributes: float) -> Example:
    """The rate as an attribute or as the last operand."""
    if rng.random() < 0.5:
        return Example((*operands, TensorType((), FLOAT32)), attributes)
    return Example(operands, {"rate": 0.01, **attributes})


@register("sgd", lambda rng: _with_rate(rng, *_pair(rng), decay=0.001))
def sgd(
    w: TensorType,
    g: TensorType,
    now: TensorType | None = None,
    *,
    rate: float = 0.0,
    decay: float = 0.0,
) -> Nest:
    """w − rate·(g + decay·w), element by element; w, g of one shape, the rate a scalar `now`
    where that is given."""

    def following(w: Expr, g: Expr, now: Operand = rate) -> Expr:
        gradient = add(g, mul(w, decay)) if decay else g
        return sub(w, mul(gradient, now))

    return elementwise(axes(w.shape), following, w=w, g=g, now=now)


def _momentum_example(rng: Generator) -> Example:
    return Example(_pair(rng), {"momentum": 0.9})


@register("momentum", _momentum_example)
def momentum_op(m: TensorType, g: TensorType, *, momentum: float) -> Nest:
    """momentum·m + g, element by element: what is remembered of earlier gradients."""
    return elementwise(axes(m.shape), lambda m, g: add(mul(m, momentum), g), m=m, g=g)


def _average_example(rng: Generator) -> Example:
    return Example(_pair(rng), {"keep": 0.9})


@register("average", _average_example)
def average(m: TensorType, g: TensorType, *, keep: float) -> Nest:
    """keep·m + (1 − keep)·g, element by element: a moving average."""
    return elementwise(axes(m.shape), lambda m, g: add(mul(m, keep), mul(g, 1 - keep)), m=m, g=g)


@register("average_square", _average_example)
def average_square(v: TensorType, g: TensorType, *, keep: float) -> Nest:
    """keep·v + (1 − keep)·g², element by element: a moving average of squares."""
    return elementwise(
        axes(v.shape), lambda v, g: add(mul(v, keep), mul(mul(g, g), 1 - keep)), v=v, g=g
    )


_ONE_NUMBER = TensorType((), FLOAT32)


@register("adam_rate", lambda rng: _with_rate(rng, _ONE_NUMBER))
def adam_rate(q: TensorType, now: TensorType | None = None, *, rate: float = 0.0) -> Nest:
    """y = rate/q, the rate a scalar `now` where that is given."""
    return elementwise((), lambda q, now=rate: div(now, q), q=q, now=now)


@register("adam_norm", lambda _: Example((_ONE_NUMBER,)))
def adam_norm(q: TensorType) -> Nest:
    """y = 1/√q."""
    return elementwise((), lambda q: div(1.0, sqrt(q)), q=q)


def _adam_example(rng: Generator) -> Example:
    kind, _ = _pair(rng)
    scalars = (_ONE_NUMBER,) * 2
    return _with_rate(rng, kind, kind, kind, *scalars, epsilon=1e-8, decay=0.01)


@register("adam", _adam_example)
def adam(
    w: TensorType,
    m: TensorType,
    v: TensorType,
    a: TensorType,
    s: TensorType,
    now: TensorType | None = None,
    *,
    epsilon: float,
    rate: float = 0.0,
    decay: float = 0.0,
) -> Nest:
    """w − rate·decay·w − a·m/(√v·s + epsilon), element by element; w, m, v of one shape, a and s
    scalars, the rate a scalar `now` where that is given."""

    def following(w: Expr, m: Expr, v: Expr, a: Expr, s: Expr, now: Expr | None = None) -> Expr:
        share: Operand = rate * decay if now is None else mul(now, decay)
        kept: Expr = sub(w, mul(w, share)) if decay else w
        size = add(mul(sqrt(v), s), epsilon)
        return sub(kept, div(mul(m, a), size))

    return elementwise(axes(w.shape), following, w=w, m=m, v=v, a=a, s=s, now=now)


def _rank_one_example(rng: Generator) -> Example:
    k, n = (int(v) for v in rng.integers(1, 20, 2))
    shapes = ((k, n), (k,), (n,))
    kinds = (FLOAT32, FLOAT32 if rng.random() < 0.5 else Int(0, 3), FLOAT32)
    operands = tuple(TensorType(shape, kind) for shape, kind in zip(shapes, kinds, strict=True))
    scaled = (None, "x", "d")[int(rng.integers(3))]
    return Example(operands, {"factor": -0.01, "fused": bool(rng.random() < 0.5), "scaled": scaled})


@register("rank_one", _rank_one_example)
def rank_one(
    w: TensorType, x: TensorType, d: TensorType, *, factor: float, fused: bool, scaled: str | None
) -> Nest:
    """y[k,n] = w[k,n] + x[k]·d[n]: `scaled` names what is first multiplied by the factor; the
    product of x and d is rounded by itself unless `fused`; x may be integers."""
    k, n = Dim("k", w.shape[0]), Dim("n", w.shape[1])
    w_read, x_read, d_read = Read("w", (k, n), w), Read("x", (k,), x), Read("d", (n,), d)
    left: Expr = as_float(x_read.value)
    left = mul(left, factor) if scaled == "x" else left
    right: Expr = mul(d_read.value, factor) if scaled == "d" else d_read.value
    body = fma(left, right, w_read.value)
    if not fused:
        body = add(w_read.value, mul(left, right))
    dims = (("k", k.size), ("n", n.size))
    return Nest(dims, (w_read, x_read, d_read), (Out("y", ("k", "n"), body.type, body),))
