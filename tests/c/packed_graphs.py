"""Graphs over states of few bits: written and read along their words and across them, whole, by
rows and by single elements, as numbers and as floats."""

from collections.abc import Iterator

import numpy as np

from edgetrain.compiler.expr import Dim, Expr, add, clamp, floor, lift, mul, to_float
from edgetrain.compiler.graph import Graph, GraphBuilder
from edgetrain.compiler.nest import Nest, Out, Read, axes, elementwise, fold
from edgetrain.compiler.types import FLOAT32, Int, TensorType
from tests.c.harness import draw

FIELDS = (Int(0, 1), Int(-1, 0), Int(-1, 1), Int(0, 3), Int(-8, 7), Int(0, 15))
STEP = Int(-2, 2)


def packed_state_graphs() -> Iterator[Graph]:
    """Each way of use with each type, in shapes that fill words and that do not."""
    for number, scalar in enumerate(FIELDS):
        per_word = {1: 32, 2: 16, 4: 8}[scalar.bits]
        yield learning(f"tail_{number}", (per_word + 3, 2), scalar, transposed=False)
        yield learning(f"whole_{number}", (per_word, 3), scalar, transposed=False)
        yield learning(f"transposed_{number}", (3, per_word - 1), scalar, transposed=True)
        yield moved(f"moved_{number}", (per_word + 1, 3), scalar)
        yield rows(f"rows_{number}", (5, per_word + 2), scalar, folded=False)
        yield rows(f"elements_{number}", (per_word + 2, 3), scalar, folded=True)


class _Builder(GraphBuilder):
    """A graph with one packed state, which starts somewhere."""

    def __init__(self, name: str, shape: tuple[int, int], scalar: Int) -> None:
        super().__init__(name)
        rng = np.random.default_rng([21, *name.encode()])
        kind = TensorType(shape, scalar)
        self.weights = self.state(f"{name}_w", draw(rng, kind), scalar)


def learning(name: str, shape: tuple[int, int], scalar: Int, *, transposed: bool) -> Graph:
    """Sums over rows and columns, as integers and as floats; then every element takes a step.

    `transposed`: the sum over columns comes first, and so decides how the state lies."""
    b = _Builder(name, shape, scalar)
    for axis in (1, 0) if transposed else (0, 1):
        for element in (Int(-128, 127), FLOAT32):
            v = b.input(f"{element.name}_{axis}".lower(), TensorType((shape[axis],), element))
            nest = product(v.type, b.weights.type, axis)
            b.output(f"y_{v.name}", b.nest(nest, v, b.weights)[0])
    scale = b.input("scale", TensorType(shape[1:], FLOAT32))
    b.output("real", b.nest(scaled(b.weights.type), b.weights, scale)[0])
    step = b.input("step", TensorType(shape, STEP))
    b.update(b.weights, b.nest(stepped(b.weights.type), b.weights, step)[0])
    return b.build()


def moved(name: str, shape: tuple[int, int], scalar: Int) -> Graph:
    """The next elements are of floats; the old ones are read after them."""
    b = _Builder(name, shape, scalar)
    x = b.input("x", TensorType(shape, FLOAT32))
    vector = b.input("v", TensorType(shape[:1], FLOAT32))
    following = b.nest(rounded(x.type, scalar), x)[0]
    b.output("y", b.nest(product(vector.type, b.weights.type, 0), vector, b.weights)[0])
    b.update(b.weights, following)
    return b.build()


def rows(name: str, shape: tuple[int, int], scalar: Int, *, folded: bool) -> Graph:
    """A row is read and replaced; `folded` makes it lie across the words."""
    b = _Builder(name, shape, scalar)
    at = b.input("at", TensorType((), Int(0, shape[0] - 1)))
    row = b.input("row", TensorType(shape[1:], scalar))
    if folded:
        x = b.input("x", TensorType(shape[:1], Int(-128, 127)))
        b.output("y", b.apply("matmul", x, b.weights))
    b.output("old", b.apply("take", at, b.weights))
    b.update(b.weights, b.apply("put", b.weights, at, row))
    return b.build()


def product(vector: TensorType, weights: TensorType, axis: int) -> Nest:
    """y = Σ v·w over an axis of the weights, in the type of the vector."""
    k, n = (Dim(name, size) for name, size in zip("kn", weights.shape, strict=True))
    along, across = ((k, n), (n, k))[axis]
    v, w = Read("v", (along,), vector), Read("w", (k, n), weights)
    real = vector.scalar == FLOAT32
    weight: Expr = to_float(w.value) if real else w.value
    total = fold("add", mul(v.value, weight), lift(0.0, FLOAT32) if real else lift(0), along.size)
    out = Out("y", (across.name,), total.type, total.result, total)
    return Nest(tuple((d.name, d.size) for d in (across, along)), (v, w), (out,))


def scaled(weights: TensorType) -> Nest:
    """y = w·s[n], floats."""
    k, n = (Dim(name, size) for name, size in zip("kn", weights.shape, strict=True))
    w, s = Read("w", (k, n), weights), Read("s", (n,), TensorType((n.size,), FLOAT32))
    out = Out("y", ("k", "n"), FLOAT32, mul(to_float(w.value), s.value))
    return Nest((("k", k.size), ("n", n.size)), (w, s), (out,))


def stepped(weights: TensorType) -> Nest:
    """w + step, within the type of the weights."""
    within, step = weights.scalar, TensorType(weights.shape, STEP)
    assert isinstance(within, Int)
    return elementwise(
        axes(weights.shape), lambda w, step: clamp(add(w, step), within), w=weights, step=step
    )


def rounded(x: TensorType, to: Int) -> Nest:
    """⌊x⌋, within a type."""
    return elementwise(axes(x.shape), lambda x: clamp(floor(x), to), x=x)
