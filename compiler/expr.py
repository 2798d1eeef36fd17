"""Scalar expressions: trees of constants, locals (what a nest has read), loop indices and applied
primitives.  Each node has a type; an integer's is its exact range, so a printer knows the width.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from edgetrain.compiler.primitives import PRIMITIVES
from edgetrain.compiler.types import BOOL, INT32, Float, Int, Scalar


@dataclass(frozen=True, slots=True)
class Const:
    """A number of `type`: a float is rounded to it, once, when the constant is made.

    Two constants are equal if all their bits are: 0.0 and -0.0 are not, all NaNs are.
    """

    value: int | float = field(compare=False)
    type: Scalar
    _bits: int | str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.type, Float):
            object.__setattr__(self, "_bits", self.value)
            return
        with np.errstate(over="ignore"):
            rounded = float(np.dtype(f"float{self.type.bits}").type(self.value))
        object.__setattr__(self, "value", rounded)
        object.__setattr__(self, "_bits", rounded.hex())


@dataclass(frozen=True, slots=True)
class Local:
    """A value that the nest has read, or the accumulator of its fold."""

    name: str
    type: Scalar


@dataclass(frozen=True, slots=True)
class Dim:
    """The index of a loop of `size` turns."""

    name: str
    size: int

    @property
    def type(self) -> Scalar:
        return Int(0, self.size - 1)


@dataclass(frozen=True, slots=True)
class Apply:
    op: str
    args: tuple["Expr", ...]
    type: Scalar
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Once a node, or else a tree of shared nodes takes exponential time.
        object.__setattr__(self, "_hash", hash((self.op, self.args, self.type)))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        # What differs nearly always differs in this, and is then compared no further.
        if not isinstance(other, Apply) or self._hash != other._hash:
            return False
        return (self.op, self.args, self.type) == (other.op, other.args, other.type)


Expr: TypeAlias = Const | Local | Dim | Apply
Operand: TypeAlias = Expr | int | float


def lift(value: Operand, like: Scalar | None = None) -> Expr:
    """A Python number as a constant; of the float type of `like` where it has one."""
    if isinstance(value, Const | Local | Dim | Apply):
        return value
    if isinstance(like, Float):
        return Const(float(value), like)
    if not isinstance(value, int):
        raise TypeError(f"{value!r} needs a float type")
    return Const(value, Int(value, value))


def apply(op: str, *operands: Operand) -> Expr:
    """`op` applied to `operands`; raises TypeError where the primitive has no such types."""
    like = next((o.type for o in operands if isinstance(o, Local | Apply | Const)), None)
    if op == "select":
        like = next((o.type for o in operands[1:] if isinstance(o, Local | Apply | Const)), None)
        args = (lift(operands[0]), *(lift(o, like) for o in operands[1:]))
    else:
        args = tuple(lift(o, like) for o in operands)
    return Apply(op, args, PRIMITIVES[op].rule(*(a.type for a in args)))


def add(a: Operand, b: Operand) -> Expr:
    return apply("add", a, b)


def sub(a: Operand, b: Operand) -> Expr:
    return apply("sub", a, b)


def mul(a: Operand, b: Operand) -> Expr:
    return apply("mul", a, b)


def as_float(a: Expr) -> Expr:
    """A float as it is; an integer of at most 24 bits as the equal FLOAT32."""
    return to_float(a) if isinstance(a.type, Int) else a


def product(a: Expr, b: Expr) -> Expr:
    """a·b; an integer beside a float becomes one first."""
    if isinstance(a.type, Int) and isinstance(b.type, Int):
        return mul(a, b)
    return mul(as_float(a), as_float(b))


def minimum(a: Operand, b: Operand) -> Expr:
    return apply("min", a, b)


def maximum(a: Operand, b: Operand) -> Expr:
    return apply("max", a, b)


def lt(a: Operand, b: Operand) -> Expr:
    return apply("lt", a, b)


def le(a: Operand, b: Operand) -> Expr:
    return apply("le", a, b)


def eq(a: Operand, b: Operand) -> Expr:
    return apply("eq", a, b)


def select(condition: Operand, a: Operand, b: Operand) -> Expr:
    return apply("select", condition, a, b)


def fma(a: Operand, b: Operand, c: Operand) -> Expr:
    return apply("fma", a, b, c)


def div(a: Operand, b: Operand) -> Expr:
    return apply("div", a, b)


def sqrt(a: Operand) -> Expr:
    """The square root as IEEE has it: rounded correctly, −0 of −0, NaN of what is below."""
    return apply("sqrt", a)


def floor(a: Operand) -> Expr:
    """The greatest integer ≤ `a`, held within ±2^24; 0 for NaN."""
    return apply("floor", a)


def to_float(a: Operand) -> Expr:
    return apply("float", a)


def float_bits(a: Expr) -> Expr:
    return apply("bits", a)


def float_from_bits(a: Expr) -> Expr:
    return apply("from_bits", a)


def widen(a: Expr) -> Expr:
    """A FLOAT16 as the equal FLOAT32."""
    return apply("widen", a)


def narrow(a: Expr) -> Expr:
    """A FLOAT32 rounded to FLOAT16: to nearest, ties to even, infinity on overflow."""
    return apply("narrow", a)


def bit_and(a: Operand, b: Operand) -> Expr:
    return apply("and", a, b)


def bit_or(a: Operand, b: Operand) -> Expr:
    return apply("or", a, b)


def bit_xor(a: Operand, b: Operand) -> Expr:
    return apply("xor", a, b)


def shift_left(a: Operand, amount: Operand) -> Expr:
    return apply("shl", a, amount)


def shift_right(a: Operand, amount: Operand) -> Expr:
    """The greatest integer ≤ a/2^amount."""
    return apply("shr", a, amount)


def mul_wrap(a: Operand, b: Operand) -> Expr:
    """a·b modulo 2^32."""
    return apply("mul_wrap", a, b)


def popcount(a: Operand) -> Expr:
    return apply("popcount", a)


def assume(a: Operand, within: Int) -> Expr:
    """`a`, whose maker vouches that it lies `within`."""
    return apply("assume", a, within.lo, within.hi)


def clamp(a: Operand, within: Int) -> Expr:
    return maximum(minimum(a, within.hi), within.lo)


def subexpressions(expr: Expr) -> Iterator[Expr]:
    """Every node of the tree, arguments before what uses them; shared nodes once."""
    seen: set[Expr] = set()
    stack: list[tuple[Expr, bool]] = [(expr, False)]
    while stack:
        node, expanded = stack.pop()
        if node in seen:
            continue
        if expanded or not isinstance(node, Apply):
            seen.add(node)
            yield node
        else:
            stack.append((node, True))
            stack.extend((argument, False) for argument in reversed(node.args))


def substitute(
    expr: Expr, replacing: Mapping[Expr, Expr], made_by: Callable[..., Expr] = apply
) -> Expr:
    """`expr` with nodes replaced; what contains them is made anew, `made_by` an operation and its
    operands, so that types follow."""
    made: dict[Expr, Expr] = {}
    for node in subexpressions(expr):
        if node in replacing:
            made[node] = replacing[node]
        elif isinstance(node, Apply):
            made[node] = made_by(node.op, *(made[a] for a in node.args))
        else:
            made[node] = node
    return made[expr]


def working_type(node: Apply) -> Scalar:
    """The type in which `node` is computed: it holds the result and every argument alike."""
    types = [node.type, *(a.type for a in node.args)]
    floats = [t for t in types if isinstance(t, Float)]
    if floats:
        return floats[0]
    hull = types[0]
    assert isinstance(hull, Int)
    for t in types[1:]:
        assert isinstance(t, Int)
        hull = hull | t
    return hull


def argument_types(node: Apply) -> tuple[Scalar, ...]:
    """The type to which each argument is brought before `node` is computed."""
    working = working_type(node)
    match node.op:
        case "select":
            return (BOOL, working, working)
        case "from_bits":
            return (INT32,)
        case "assume" | "widen" | "narrow":
            return tuple(a.type for a in node.args)
    return (working,) * len(node.args)
