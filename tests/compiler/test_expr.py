"""Every primitive of the table against its meaning in plain Python, and its rule of ranges."""

import inspect
from itertools import product

import numpy as np
import pytest

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.expr import Apply, Const, Dim, Expr, Local, subexpressions
from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.nest import Nest, Out, Read
from edgetrain.compiler.primitives import PRIMITIVES
from edgetrain.compiler.types import BOOL, FLOAT32, Float, Int, Scalar, TensorType
from edgetrain.executor import NestExecutor, Tensor
from tests.compiler.scalars import PRIMITIVE_MEANINGS, Number, corners, primitive, same

INTEGERS = [
    Int(0, 0),
    BOOL,
    Int(-1, 1),
    Int(5, 5),
    Int(31, 31),
    Int(62, 62),
    Int(-7, -3),
    Int(-128, 127),
    Int(0, 255),
    Int(-129, 0),
    Int(0, 256),
    Int(-(2**15), 2**15 - 1),
    Int(0, 2**16 - 1),
    Int(-(2**31), 2**31 - 1),
    Int(0, 2**32 - 1),
    Int(-(2**31) - 1, 2**31),
    Int(-(2**62), 2**62 - 1),
    Int(0, 2**63 - 1),
    Int(-(2**63), 2**63 - 1),
]
SMALL = [Int(lo, hi) for lo in range(-3, 4) for hi in range(lo, 4)]
OPS = sorted(PRIMITIVES)
FLOATS_ONLY = {"fma", "sqrt", "floor", "bits", "widen", "narrow"}
OF_INTEGERS = [op for op in OPS if op not in FLOATS_ONLY]


def arity(op: str) -> int:
    return len(inspect.signature(PRIMITIVE_MEANINGS[op]).parameters)


def signatures(op: str, types: list[Scalar]) -> list[tuple[tuple[Scalar, ...], Scalar]]:
    """The operand types among `types` that `op` takes, and its result's type for each."""
    found = []
    for operands in product(types, repeat=arity(op)):
        try:
            found.append((operands, PRIMITIVES[op].rule(*operands)))
        except (TypeError, InputError):
            continue
    return found


def computed(
    op: str, operands: tuple[Scalar, ...], kind: Scalar, rows: list[tuple[Number, ...]]
) -> list[Number]:
    """`op` of each row of arguments, as the simulator computes it."""
    dim = Dim("n", len(rows))
    reads = tuple(
        Read(f"x{i}", (dim,), TensorType((len(rows),), scalar)) for i, scalar in enumerate(operands)
    )
    # A shift is by a constant, of which the type holds one number.
    arguments: list[Expr] = [
        Const(r.type.scalar.lo, r.type.scalar)
        if isinstance(r.type.scalar, Int) and r.type.scalar.lo == r.type.scalar.hi
        else r.value
        for r in reads
    ]
    body = Apply(op, tuple(arguments), kind)
    nest = Nest((("n", len(rows)),), reads, (Out("y", ("n",), kind, body),))
    columns = [
        np.array(column, storage_dtype(scalar))
        for column, scalar in zip(zip(*rows, strict=True), operands, strict=True)
    ]
    (result,) = NestExecutor(nest, {})([Tensor(column, False) for column in columns])
    assert result.array.dtype == storage_dtype(kind)
    numbers: list[Number] = result.array.tolist()
    return numbers


def check(
    op: str, operands: tuple[Scalar, ...], kind: Scalar, rows: list[tuple[Number, ...]]
) -> None:
    if op == "assume":
        # What lies outside is not what its maker vouched for.
        assert isinstance(kind, Int)
        rows = [row for row in rows if kind.lo <= row[0] <= kind.hi]
    if not rows:
        return
    expected = [primitive(op, row, kind) for row in rows]
    for row, number, right in zip(rows, computed(op, operands, kind, rows), expected, strict=True):
        assert same(number, right), f"{op}{row} of {operands} is {right}, not {number}"


def test_every_primitive_has_a_meaning_here() -> None:
    assert PRIMITIVE_MEANINGS.keys() == PRIMITIVES.keys()


@pytest.mark.parametrize("op", OF_INTEGERS)
def test_small_ranges_exhaustively(op: str) -> None:
    types = SMALL if arity(op) < 3 else [BOOL, Int(-2, 1), Int(0, 3), Int(-1, -1), Int(2, 2)]
    taken = signatures(op, list(types))
    assert taken
    for operands, kind in taken:
        rows = product(*(range(t.lo, t.hi + 1) for t in operands if isinstance(t, Int)))
        check(op, operands, kind, list(rows))


@pytest.mark.parametrize("op", OF_INTEGERS)
def test_the_corners_of_the_machine_types(op: str) -> None:
    types: list[Scalar] = [*INTEGERS]
    if op == "select":
        types = [BOOL, *(t for t in INTEGERS if t.bits in (8, 32, 33, 64))]
    elif op == "assume":
        types = [BOOL, Int(62, 62), INTEGERS[7], INTEGERS[-3], INTEGERS[-1]]
    taken = signatures(op, types)
    wide = {t.bits for operands, _ in taken for t in operands if isinstance(t, Int)}
    assert max(wide) >= (16 if op == "float" else 32)  # of more than 24 bits no float is exact
    for operands, kind in taken:
        columns = [corners(t) for t in operands]
        if op == "assume":  # its limits are no numbers of the nest, only types
            columns[1:] = [column[:1] for column in columns[1:]]
        check(op, operands, kind, list(product(*columns)))


@pytest.mark.parametrize("bits", [16, 32])
@pytest.mark.parametrize("op", OPS)
def test_the_corners_of_floats(op: str, bits: int) -> None:
    types: list[Scalar] = [BOOL, Float(bits)]
    taken = [(o, k) for o, k in signatures(op, types) if Float(bits) in o]
    for operands, kind in taken:
        check(op, operands, kind, list(product(*(corners(t) for t in operands))))
    integers_only = {
        "and",
        "or",
        "xor",
        "shl",
        "shr",
        "popcount",
        "mul_wrap",
        "assume",
        "float",
        "from_bits",
    }
    of_one_type = {"sqrt": 32, "floor": 32, "bits": 32, "widen": 16, "narrow": 32}
    assert bool(taken) == (op not in integers_only and of_one_type.get(op, bits) == bits)


@pytest.mark.parametrize("op", ["add", "sub", "mul", "min", "max", "shl", "shr", "div"])
def test_the_range_of_a_result_is_tight(op: str) -> None:
    for operands, kind in signatures(op, list(SMALL)):
        ends = [range(t.lo, t.hi + 1) for t in operands if isinstance(t, Int)]
        reached = [primitive(op, row, kind) for row in product(*ends)]
        assert kind == Int(int(min(reached)), int(max(reached)))


WIDE = Int(-(2**63), 2**63 - 1)
REFUSED: list[tuple[str, tuple[Scalar, ...]]] = [
    ("add", (BOOL, FLOAT32)),
    ("add", (Float(16), FLOAT32)),
    ("add", (WIDE, BOOL)),
    ("sub", (Int(-(2**63), 0), BOOL)),
    ("mul", (WIDE, Int(-1, 0))),
    ("lt", (BOOL, FLOAT32)),
    ("select", (Int(0, 2), BOOL, BOOL)),
    ("select", (BOOL, BOOL, FLOAT32)),
    ("and", (Int(-1, 3), BOOL)),
    ("or", (BOOL, Int(-1, 3))),
    ("xor", (FLOAT32, FLOAT32)),
    ("shl", (BOOL, Int(-1, 2))),
    ("shl", (BOOL, Int(-1, -1))),
    ("shl", (Int(0, 2), Int(62, 62))),
    ("shr", (BOOL, Int(-1, 1))),
    ("shr", (BOOL, Int(0, 63))),
    ("shr", (FLOAT32, Int(1, 1))),
    ("popcount", (Int(-1, 1),)),
    ("popcount", (Int(0, 2**32),)),
    ("popcount", (FLOAT32,)),
    ("assume", (FLOAT32, BOOL, BOOL)),
    ("fma", (FLOAT32, FLOAT32, Float(16))),
    ("div", (BOOL, BOOL)),
    ("div", (Int(-1, 1), Int(1, 1))),
    ("sqrt", (Float(16),)),
    ("sqrt", (BOOL,)),
    ("floor", (Float(16),)),
    ("float", (Int(0, 2**24 + 1),)),
    ("bits", (Float(16),)),
    ("from_bits", (Int(0, 2**31),)),
    ("assume", (BOOL, Int(2, 2), Int(3, 3))),
]


@pytest.mark.parametrize(("op", "operands"), REFUSED, ids=str)
def test_types_without_a_meaning_are_refused(op: str, operands: tuple[Scalar, ...]) -> None:
    with pytest.raises((TypeError, InputError)):
        PRIMITIVES[op].rule(*operands)


def test_subexpressions_come_after_what_they_use_and_once() -> None:
    x = Local("x", BOOL)
    shared = Apply("add", (x, x), Int(0, 2))
    top: Expr = shared
    for _ in range(50):  # 2**50 paths lead to x
        top = Apply("max", (top, top), Int(0, 2))
    order = list(subexpressions(top))
    assert len(order) == len(set(order)) == 52
    for position, node in enumerate(order):
        if isinstance(node, Apply):
            assert all(order.index(argument) < position for argument in node.args)


def test_a_constant_is_rounded_once_to_its_type() -> None:
    # Between two halves, nearer to the upper one by less than FLOAT32 can tell.
    assert Const(1 + 2.0**-11 + 2.0**-40, Float(16)).value == 1 + 2.0**-10
    assert Const(0.1, FLOAT32).value == float(np.float32(0.1))
    assert Const(1e6, Float(16)).value == np.inf
    assert Const(2**24 + 1, FLOAT32).value == 2.0**24


def test_constants_are_equal_where_all_their_bits_are() -> None:
    assert Const(0.0, FLOAT32) != Const(-0.0, FLOAT32)
    assert Const(float("nan"), FLOAT32) == Const(-float("nan"), FLOAT32)
    assert Const(0.1, FLOAT32) == Const(float(np.float32(0.1)), FLOAT32)
    assert Const(1.0, FLOAT32) != Const(1.0, Float(16))
    assert Const(1, Int(0, 1)) != Const(1, Int(1, 1))
