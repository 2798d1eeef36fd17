"""Fixed random projections: no matrix is stored, each element is computed from its index."""

from numpy.random import Generator

from edgetrain.compiler.expr import Dim, Expr, add, lift, mul
from edgetrain.compiler.nest import Nest, Out, Read, elementwise, fold
from edgetrain.compiler.ops.random import DISTRIBUTIONS, random_bits
from edgetrain.compiler.ops.registry import Attributes, Example, register
from edgetrain.compiler.types import FLOAT32, Int, TensorType


def _matrix(row: Expr, column: Expr, columns: int, bound: float, *, seed: int, stream: int) -> Expr:
    """P[row, column] of a matrix of so many columns: uniform from −bound to bound, the same in
    every step; each seed and stream has a matrix of its own."""
    index = add(mul(row, columns), column)
    return DISTRIBUTIONS["uniform"].scaled(random_bits(seed, stream, lift(0), index), bound)


def _attributes(rng: Generator) -> Attributes:
    return {
        "size": int(rng.integers(1, 20)),
        "bound": 0.75,
        "seed": int(rng.integers(2**32)),
        "stream": int(rng.integers(9)),
    }


def _vector_example(rng: Generator) -> Example:
    return Example((TensorType((int(rng.integers(1, 12)),), FLOAT32),), _attributes(rng))


@register("project", _vector_example)
def project(x: TensorType, *, size: int, bound: float, seed: int, stream: int) -> Nest:
    """y[n] = Σ_c P[n,c]·x[c], `size` of them; P is random of (seed, stream), within ±bound."""
    n, c = Dim("n", size), Dim("c", x.shape[0])
    read = Read("x", (c,), x)
    term = mul(_matrix(n, c, c.size, bound, seed=seed, stream=stream), read.value)
    total = fold("add", term, lift(0.0, FLOAT32), c.size)
    dims = (("n", size), ("c", c.size))
    return Nest(dims, (read,), (Out("y", ("n",), total.type, total.result, total),))


def _label_example(rng: Generator) -> Example:
    return Example((TensorType((), Int(0, int(rng.integers(0, 12)))),), _attributes(rng))


@register("project_label", _label_example)
def project_label(label: TensorType, *, size: int, bound: float, seed: int, stream: int) -> Nest:
    """y[n] = P[n,label], `size` of them: what `project` makes of the one-hot label."""
    n = Dim("n", size)
    assert isinstance(label.scalar, Int)
    classes = label.scalar.hi + 1

    def element(label: Expr) -> Expr:
        return _matrix(n, label, classes, bound, seed=seed, stream=stream)

    return elementwise((n,), element, label=label)
