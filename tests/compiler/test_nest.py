"""What the verifiers of nests and graphs refuse."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgetrain.compiler.contract import Contract
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.expr import Apply, Const, Dim, Expr, Local, add, lift, sub
from edgetrain.compiler.graph import Graph, GraphBuilder, Node, State, Value, check_array
from edgetrain.compiler.nest import Fold, Nest, Out, Read, fold
from edgetrain.compiler.types import BOOL, FLOAT32, Float, Int, TensorType, parse_scalar

AT, J = Dim("i", 3), Dim("j", 4)
SMALL = Int(-2, 1)
X = Read("x", (AT,), TensorType((3,), SMALL))
M = Read("m", (AT, J), TensorType((3, 4), SMALL))
ROW = TensorType((3,), SMALL)


def a_map(body: Expr, dims: tuple[tuple[str, int], ...] = (("i", 3),), *read: Read) -> Nest:
    return Nest(dims, read or (X,), (Out("y", tuple(d for d, _ in dims), body.type, body),))


def a_fold(made: Fold, body: Expr | None = None, dims: tuple[str, ...] = ("i",)) -> Nest:
    finished = body or made.result
    return Nest((("i", 3), ("j", 4)), (X, M), (Out("y", dims, finished.type, finished, made),))


SUM = fold("add", M.value, X.value, 4)

REFUSED: dict[str, Callable[[], object]] = {
    "two dims of one name": lambda: a_map(X.value, (("i", 3), ("i", 3))),
    "a dim of another size": lambda: a_map(Dim("i", 4)),
    "a dim of another nest": lambda: a_map(J),
    "a local that is not read": lambda: a_map(Local("z", SMALL)),
    "a local of another type": lambda: a_map(Local("x", BOOL)),
    "two reads of one name": lambda: a_map(X.value, (("i", 3),), X, X),
    "a read named as the accumulator": lambda: a_map(lift(0), (("i", 3),), replace(X, local="acc")),
    "the accumulator of a map": lambda: a_map(Local("acc", SMALL)),
    "too few indices": lambda: a_map(lift(0), (("i", 3),), replace(M, access=(AT,))),
    "too many indices": lambda: a_map(lift(0), (("i", 3),), replace(X, access=(AT, AT))),
    "an index beyond the end": lambda: a_map(
        lift(0), (("i", 3),), replace(X, access=(add(AT, 1),))
    ),
    "an index before the start": lambda: a_map(
        lift(0), (("i", 3),), replace(X, access=(sub(AT, 1),))
    ),
    "a float index": lambda: a_map(lift(0), (("i", 3),), replace(X, access=(lift(0.0, FLOAT32),))),
    "an index that a later read gives": lambda: a_map(
        lift(0),
        (("i", 3),),
        Read("a", (Local("b", Int(0, 2)),), ROW),
        Read("b", (AT,), TensorType((3,), Int(0, 2))),
    ),
    "an output over an unknown dim": lambda: Nest(
        (("i", 3),), (X,), (Out("y", ("k",), SMALL, X.value),)
    ),
    "an output over a dim twice": lambda: Nest(
        (("i", 3),), (X,), (Out("y", ("i", "i"), SMALL, X.value),)
    ),
    "an output narrower than its element": lambda: Nest(
        (("i", 3),), (X,), (Out("y", ("i",), BOOL, X.value),)
    ),
    "an output of the other kind": lambda: Nest(
        (("i", 3),), (X,), (Out("y", ("i",), FLOAT32, X.value),)
    ),
    "a map that lacks a dim": lambda: Nest(
        (("i", 3), ("j", 4)), (M,), (Out("y", ("i",), SMALL, X.value),)
    ),
    "a body that depends on a folded dim": lambda: a_fold(SUM, add(SUM.result, J)),
    "a body that reads along a folded dim": lambda: a_fold(SUM, add(SUM.result, M.value)),
    "a fused sum of no products": lambda: a_fold(replace(SUM, contract=Contract(fused=True))),
    "an init that depends on a folded dim": lambda: a_fold(replace(SUM, init=J)),
    "an accumulator of another type": lambda: a_fold(SUM, Local("acc", SMALL)),
    "an accumulator in the term": lambda: a_fold(replace(SUM, term=SUM.result)),
    "a term over an unknown dim": lambda: a_fold(replace(SUM, term=Dim("k", 2))),
    "a fold of another primitive": lambda: a_fold(replace(SUM, op="mul")),
    "a float term in a fold of integers": lambda: a_fold(replace(SUM, term=Const(0.5, FLOAT32))),
    "an integer init in a fold of floats": lambda: a_fold(
        Fold("add", Const(0.5, FLOAT32), X.value, FLOAT32)
    ),
    "an init beyond the fold's type": lambda: a_fold(replace(SUM, type=Int(0, 1))),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_nest_without_a_meaning_is_refused(case: str) -> None:
    with pytest.raises(TypeError):
        REFUSED[case]()


def test_the_nests_that_the_cases_start_from_are_sound() -> None:
    a_map(X.value)
    a_fold(SUM)
    a_map(add(X.value, AT))


def test_what_an_expression_depends_on_is_found_through_indices() -> None:
    index = Read("at", (J,), TensorType((4,), Int(0, 2)))
    gathered = Read("g", (index.value,), ROW)
    nest = Nest(
        (("i", 3), ("j", 4)),
        (index, gathered),
        (Out("y", ("i", "j"), Int(-2, 3), add(gathered.value, AT)),),
    )
    assert nest.depends_on(gathered.value) == {"j"}
    assert nest.depends_on(nest.outs[0].body) == {"i", "j"}


@pytest.mark.parametrize("turns", [1, 2, 7])
@pytest.mark.parametrize("term", [Int(-3, 2), Int(1, 4), Int(-5, -2), Int(0, 0)])
@pytest.mark.parametrize("init", [Int(-1, 1), Int(6, 9)])
def test_a_sum_holds_every_partial_sum_in_any_order(turns: int, term: Int, init: Int) -> None:
    kind = fold("add", Local("x", term), Local("b", init), turns).type
    assert isinstance(kind, Int)
    for first in (init.lo, init.hi):
        for low in range(turns + 1):  # that many of the least, the others of the greatest
            for order in (1, -1):
                total, terms = first, [term.lo] * low + [term.hi] * (turns - low)
                for number in terms[::order]:
                    total += number
                    assert total in kind


def test_a_greatest_element_holds_the_terms_and_the_start() -> None:
    made = fold("max", Local("x", Int(-3, 2)), Local("b", Int(0, 1)), 5)
    assert made.type == Int(-3, 2)


# Graphs


def graph() -> Graph:
    builder = GraphBuilder("g")
    x = builder.input("x", ROW)
    kept = builder.state("s", np.zeros(3, np.int8), SMALL)
    y = builder.nest(a_map(X.value), x)[0]
    builder.update(kept, y)
    builder.output("y", y)
    return builder.build()


def changed(**fields: Any) -> Callable[[], Graph]:
    return lambda: replace(graph(), **fields)


VALUE = Value("v", ROW)
BAD_GRAPHS: dict[str, Callable[[], object]] = {
    "two sources of one name": changed(inputs=(Value("s", ROW),)),
    "a node before its operand": lambda: replace(
        graph(), nodes=(Node("copy", a_map(X.value), (VALUE,), (VALUE,)),)
    ),
    "an operand of another type": lambda: replace(
        graph(),
        inputs=(Value("x", TensorType((3,), BOOL)),),
    ),
    "an operand too many": lambda: replace(
        graph(), nodes=(replace(graph().nodes[0], inputs=graph().inputs * 2),)
    ),
    "a result too few": lambda: replace(graph(), nodes=(replace(graph().nodes[0], outputs=()),)),
    "a result of another type": lambda: replace(
        graph(),
        nodes=(replace(graph().nodes[0], outputs=(Value("v0", TensorType((3,), BOOL)),)),),
    ),
    "a value defined twice": lambda: replace(graph(), nodes=graph().nodes * 2),
    "an output that nothing computes": changed(outputs=(VALUE,)),
    "an output too many": changed(output_names=("y", "z")),
    "a next state that nothing computes": changed(
        states=(State(Value("s", ROW), VALUE, np.zeros(3, np.int8)),)
    ),
    "a next state of another type": changed(
        states=(
            State(Value("s", TensorType((3,), BOOL)), graph().outputs[0], np.zeros(3, np.int8)),
        )
    ),
    "a constant out of range": changed(constants={VALUE: np.array([0, 1, 2])}),
    "a constant of another shape": changed(constants={VALUE: np.zeros(2, np.int8)}),
    "a constant of floats": changed(constants={VALUE: np.zeros(3)}),
}


@pytest.mark.parametrize("case", BAD_GRAPHS)
def test_a_graph_that_is_not_sound_is_refused(case: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        BAD_GRAPHS[case]()


def test_the_text_of_a_graph_names_every_value() -> None:
    text = str(graph())
    for part in ("input x: 3 INT2[-2..1]", "state s: 3", "v0: 3", "output y = v0", "next s = v0"):
        assert part in text


@pytest.mark.parametrize(
    ("kind", "array"),
    [
        (TensorType((2,), FLOAT32), np.zeros(2)),
        (TensorType((2,), FLOAT32), np.zeros(2, np.int8)),
        (TensorType((), Int(0, 2**63 - 1)), np.array(-1)),
        (TensorType((), Int(-(2**63), 2**63 - 1)), np.array(2**63, np.uint64)),
    ],
)
def test_an_array_that_does_not_fit_its_type_is_refused(kind: TensorType, array: object) -> None:
    with pytest.raises(ValueError, match="v"):
        check_array(Value("v", kind), np.asarray(array))


# Types


@pytest.mark.parametrize("lo", range(-9, 10))
def test_bits_are_the_fewest_that_hold_the_range(lo: int) -> None:
    for hi in range(lo, 20):
        kind = Int(lo, hi)
        least, most = (
            (-(2 ** (kind.bits - 1)), 2 ** (kind.bits - 1) - 1) if lo < 0 else (0, 2**kind.bits - 1)
        )
        assert least <= lo
        assert hi <= most
        assert parse_scalar(kind.name) == Int(least, most)
        if kind.bits > 1:
            fewer = kind.bits - 1
            span = (-(2 ** (fewer - 1)), 2 ** (fewer - 1) - 1) if lo < 0 else (0, 2**fewer - 1)
            assert not (span[0] <= lo and hi <= span[1])


@pytest.mark.parametrize(("lo", "hi"), [(0, 2**63), (-(2**63) - 1, 0), (1, 0)])
def test_a_range_outside_64_bits_is_refused(lo: int, hi: int) -> None:
    with pytest.raises(InputError):
        Int(lo, hi)


@pytest.mark.parametrize(
    "name", ["", "INT", "INT0", "INT33", "UINT08", "int8", "FLOAT64", "INT8\n"]
)
def test_an_unknown_data_type_is_refused(name: str) -> None:
    with pytest.raises(InputError):
        parse_scalar(name)


def test_a_float_names_its_type() -> None:
    assert parse_scalar(Float(16).name) == Float(16)
    assert isinstance(Apply("add", (X.value, X.value), Int(-4, 2)), Apply)
