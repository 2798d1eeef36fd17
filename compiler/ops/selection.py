"""Choosing among elements."""

from typing import TYPE_CHECKING

from numpy.random import Generator

from edgetrain.compiler.expr import (
    Dim,
    add,
    assume,
    bit_and,
    clamp,
    eq,
    lift,
    lt,
    select,
    shift_left,
    sub,
)
from edgetrain.compiler.nest import Nest, Out, Read, axes, elementwise, fold
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import BOOL, FLOAT32, Int, TensorType

if TYPE_CHECKING:
    from edgetrain.compiler.graph import GraphBuilder, Node, Value


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


def _rows_example(rng: Generator) -> tuple[int, tuple[int, ...]]:
    rows = int(rng.integers(1, 9))
    return rows, (rows, int(rng.integers(1, 9))) if rng.random() < 0.5 else (rows,)


def _take_example(rng: Generator) -> Example:
    rows, shape = _rows_example(rng)
    return Example((TensorType((), Int(0, rows - 1)), TensorType(shape, Int(-9, 300))))


@register("take", _take_example)
def take(i: TensorType, x: TensorType) -> Nest:
    """y = x[i]; x (R) or (R, C), i scalar."""
    row = Read("i", (), i)
    dims = tuple((f"c{axis}", length) for axis, length in enumerate(x.shape[1:]))
    element = Read("x", (row.value, *(Dim(*d) for d in dims)), x)
    names = tuple(name for name, _ in dims)
    return Nest(dims, (row, element), (Out("y", names, x.scalar, element.value),))


def _put_example(rng: Generator) -> Example:
    rows, shape = _rows_example(rng)
    table = TensorType(shape, Int(-9, 300))
    return Example((table, TensorType((), Int(0, rows - 1)), TensorType(shape[1:], Int(-9, 300))))


@register("put", _put_example)
def put(x: TensorType, i: TensorType, row: TensorType) -> Nest:
    """y = x with row i replaced by `row`; x (R) or (R, C), i scalar, row () or (C)."""
    at = Read("i", (), i)
    dims = (("r", x.shape[0]), *((f"c{axis}", n) for axis, n in enumerate(x.shape[1:])))
    index = tuple(Dim(*d) for d in dims)
    old, new = Read("x", index, x), Read("row", index[1:], row)
    body = select(eq(index[0], at.value), new.value, old.value)
    names = tuple(name for name, _ in dims)
    return Nest(dims, (old, at, new), (Out("y", names, x.scalar, body),))


def _part_example(rng: Generator) -> Example:
    size = int(rng.integers(2, 20))
    start = int(rng.integers(0, size - 1))
    part = int(rng.integers(1, size - start + 1)) if start else int(rng.integers(1, size))
    return Example((TensorType((size,), FLOAT32),), {"start": start, "size": part})


@register("slice", _part_example)
def slice_op(x: TensorType, *, start: int, size: int) -> Nest:
    """y[n] = x[start + n] for the `size` elements from `start` on; x (N)."""
    n = Dim("n", size)
    read = Read("x", (add(n, start),), x)
    return Nest((("n", size),), (read,), (Out("y", ("n",), x.scalar, read.value),))


@register("without", _part_example)
def without(x: TensorType, *, start: int, size: int) -> Nest:
    """y = x without the `size` elements from `start` on; x (N)."""
    rest = x.shape[0] - size
    n = Dim("n", rest)
    index = clamp(select(lt(n, start), n, add(n, size)), Int(0, x.shape[0] - 1))
    read = Read("x", (index,), x)
    return Nest((("n", rest),), (read,), (Out("y", ("n",), x.scalar, read.value),))


def _splice_gradient(
    b: "GraphBuilder", node: "Node", d: "Value", needed: tuple[bool, ...]
) -> "tuple[Value | None, ...]":
    """Each part's share of d."""
    where = {"start": node.attributes["at"], "size": node.inputs[1].type.shape[0]}
    around = b.apply("without", d, **where) if needed[0] else None
    return around, b.apply("slice", d, **where) if needed[1] else None


def _splice_example(rng: Generator) -> Example:
    sizes = tuple(int(v) for v in rng.integers(1, 12, 2))
    operands = tuple(TensorType((size,), FLOAT32) for size in sizes)
    return Example(operands, {"at": int(rng.integers(0, sizes[0] + 1))})


@register("splice", _splice_example, _splice_gradient)
def splice(x: TensorType, part: TensorType, *, at: int) -> Nest:
    """y = x with the elements of `part` put in before index `at`; x (N), part (M), y (N + M)."""
    (rest,), (size,) = x.shape, part.shape
    n = Dim("n", rest + size)
    before = lt(n, at)
    around = clamp(select(before, n, sub(n, size)), Int(0, rest - 1))
    within = clamp(sub(n, at), Int(0, size - 1))
    old, new = Read("x", (around,), x), Read("part", (within,), part)
    inside = select(before, 0, lt(n, at + size))
    body = select(inside, new.value, old.value)
    return Nest((("n", n.size),), (old, new), (Out("y", ("n",), x.scalar, body),))


def _choose_example(rng: Generator) -> Example:
    shape = tuple(int(v) for v in rng.integers(1, 12, int(rng.integers(0, 3))))
    kind = TensorType(shape, FLOAT32 if rng.random() < 0.5 else Int(-9, 300))
    return Example((TensorType((), BOOL), kind, kind))


@register("choose", _choose_example)
def choose(ok: TensorType, new: TensorType, old: TensorType) -> Nest:
    """y = new if ok, else old, element by element; ok a scalar."""
    return elementwise(axes(new.shape), select, ok=ok, new=new, old=old)
