"""Fixed random projections without floats: their matrices are integers in units of bound/2^bits."""

from numpy.random import Generator

from edgetrain.compiler.expr import Dim, Expr, add, lift, mul, shift_right
from edgetrain.compiler.nest import Nest, Out, Read, elementwise, fold
from edgetrain.compiler.ops.random import DISTRIBUTIONS, random_bits
from edgetrain.compiler.ops.registry import Attributes, Example, register
from edgetrain.compiler.types import Int, TensorType

_UNIFORM = DISTRIBUTIONS["uniform"]


def _matrix(row: Expr, column: Expr, columns: int, bits: int, *, seed: int, stream: int) -> Expr:
    """P[row, column] of a matrix of so many columns: that of `project`, rounded down."""
    index = add(mul(row, columns), column)
    number = _UNIFORM.draw(random_bits(seed, stream, lift(0), index))
    return shift_right(number, _UNIFORM.fraction - bits)


def _attributes(rng: Generator) -> Attributes:
    return {
        "size": int(rng.integers(1, 20)),
        "bits": int(rng.integers(1, 16)),
        "seed": int(rng.integers(2**32)),
        "stream": int(rng.integers(9)),
    }


def _vector_example(rng: Generator) -> Example:
    return Example((TensorType((int(rng.integers(1, 12)),), Int(-999, 999)),), _attributes(rng))


@register("project_fixed", _vector_example)
def project_fixed(x: TensorType, *, size: int, bits: int, seed: int, stream: int) -> Nest:
    """y[n] = Σ_c P[n,c]·x[c], `size` of them; P is random of (seed, stream), within ±2^bits."""
    n, c = Dim("n", size), Dim("c", x.shape[0])
    read = Read("x", (c,), x)
    term = mul(_matrix(n, c, c.size, bits, seed=seed, stream=stream), read.value)
    total = fold("add", term, lift(0), c.size)
    dims = (("n", size), ("c", c.size))
    return Nest(dims, (read,), (Out("y", ("n",), total.type, total.result, total),))


def _label_example(rng: Generator) -> Example:
    return Example((TensorType((), Int(0, int(rng.integers(0, 12)))),), _attributes(rng))


@register("project_label_fixed", _label_example)
def project_label_fixed(label: TensorType, *, size: int, bits: int, seed: int, stream: int) -> Nest:
    """y[n] = P[n,label], `size` of them: what `project_fixed` makes of the one-hot label."""
    n = Dim("n", size)
    assert isinstance(label.scalar, Int)
    classes = label.scalar.hi + 1

    def element(label: Expr) -> Expr:
        return _matrix(n, label, classes, bits, seed=seed, stream=stream)

    return elementwise((n,), element, label=label)
