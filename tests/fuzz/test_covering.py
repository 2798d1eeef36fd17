"""Every two choices of a training program, together in one that is bit-exact on its board."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from edgetrain.board import load_board
from edgetrain.compiler.rules import RULES
from edgetrain.compiler.rules.learning import INTEGER
from edgetrain.pipeline import FP16_FEATURES
from tests.fuzz.cases import (
    FACTORS,
    MOST_PROGRAMS,
    RUNNABLE,
    STEPS,
    Case,
    arithmetic,
    covering_cases,
    kind,
    run_case,
)
from tests.fuzz.pairwise import Row, covering_array, pairs, valid_pairs, walk
from tests.support import needs_tool

CASES = covering_cases(seed=1)


def name(case: Case) -> str:
    return "-".join(str(value).replace(" ", "") for value in case.values())


@pytest.mark.parametrize("case", CASES, ids=name)
def test_is_bit_exact(case: Case, tmp_path: Path) -> None:
    qemu = load_board(case["board"]).qemu
    if qemu is not None:
        needs_tool(qemu.program)
    report = run_case(case, tmp_path)
    assert report.bit_exact, report.first_mismatch
    assert report.samples == STEPS


def test_the_cases_are_few_and_cover_what_they_say() -> None:
    assert len(CASES) <= MOST_PROGRAMS
    met = [{factor: kind(factor, value) for factor, value in case.items()} for case in CASES]
    for factor, values in FACTORS.items():
        assert {str(kind(factor, v)) for v in values} == {str(case[factor]) for case in met}
    together = {(case["rule"], case["precision"]) for case in met}
    assert together == {
        (rule.name, family) for rule in RULES.values() for family in rule.precisions
    }
    on_boards = {(case["board"], case["precision"]) for case in met}
    for board in RUNNABLE:
        halves = {"fp16"} if FP16_FEATURES.issubset(board.features) else set()
        for family in {"fp32", "quantised", INTEGER} | halves:
            assert (arithmetic(board), family) in on_boards


SMALL: dict[str, Any] = {"a": (1, 2, 3), "b": "xyz", "c": (True, False), "d": (0, 1, 2, 3)}


def forbids(row: Row) -> bool:
    return not (row.get("a") == 1 and row.get("b") == "x")


@pytest.mark.parametrize("seed", range(5))
def test_an_array_covers_every_valid_pair(seed: int) -> None:
    rows = covering_array(SMALL, forbids, seed)
    assert rows == covering_array(SMALL, forbids, seed)
    assert all(forbids(row) for row in rows)
    wanted = valid_pairs(SMALL, forbids)
    # 9 + 6 + 12 + 6 + 12 + 8 pairs, without one.
    assert len(wanted) == 52
    assert set().union(*(pairs(row) for row in rows)) == wanted
    assert 12 <= len(rows) <= 16
    few = covering_array(SMALL, forbids, seed, first=[frozenset("ab")], most=8)
    assert len(few) == 8
    assert {(row["a"], row["b"]) for row in few} == {*product((1, 2, 3), "xyz")} - {(1, "x")}


def test_a_walk_meets_every_valid_row_once() -> None:
    rows = [tuple(row.values()) for row in walk(SMALL, forbids, seed=3)]
    assert rows != sorted(rows, key=str)
    assert len(rows) == len(set(rows))
    everything = [dict(zip(SMALL, row, strict=True)) for row in product(*SMALL.values())]
    assert set(rows) == {tuple(row.values()) for row in everything if forbids(row)}
