"""Choosing among elements."""

from numpy.random import Generator

from edgetrain.compiler.expr import Dim, add, assume, bit_and, lift, shift_left, sub
from edgetrain.compiler.nest import Nest, Out, Read, fold
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import Int, TensorType


def _argmax_example(rng: Generator) -> Example:
    kind = Int(-6, 5) if rng.random() < 0.5 else Int(-(2**35), 2**40)
    return Example((TensorType((int(rng.integers(1, 20)),), kind),))


@register("argmax", _argmax_example)
def argmax(x: TensorType) -> Nest:
    """y = the index of the greatest x[n], the first where several are; x (N) integer."""
    (n_size,) = x.shape
    assert isinstance(x.scalar, Int)
    n = Dim("n", n_size)
    read = Read("x", (n,), x)
    bits = max((n_size - 1).bit_length(), 1)
    # Value above, reversed index below: one maximum finds both.
    rank = sub(read.value, x.scalar.lo)
    key = add(shift_left(rank, bits), sub(n_size - 1, n))
    best = fold("max", key, lift(0), n_size)
    body = sub(n_size - 1, bit_and(best.result, 2**bits - 1))
    # The low bits of a key are an index reversed, hence at most n_size - 1.
    body = assume(body, Int(0, n_size - 1))
    return Nest((("n", n_size),), (read,), (Out("y", (), body.type, body, best),))
