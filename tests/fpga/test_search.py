"""The search for a folding keeps to its budgets, and tells what it has tried."""

from typing import Any

import pytest

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.folding import Folding
from edgetrain.compiler.rules import Learning
from edgetrain.fpga.circuit import Circuit, make_hardware
from edgetrain.fpga.estimate import estimate
from edgetrain.fpga.hardware import FOLDED, UNROLLED, synthesise_engine
from edgetrain.fpga.search import NO_BLOCKS, Point, evaluate, pareto, search
from edgetrain.kernels.rtl.memories import BLOCK_BITS
from edgetrain.pipeline import compile_model
from edgetrain.workloads import find_model
from tests.c.harness import make_program
from tests.rtl.test_unrolled import network

PROGRAM = make_program([network(4)])


def point(cycles: int, luts: int, brams: float = 0) -> Point:
    return Point({}, 0, cycles, luts, brams, 0)


def test_what_no_other_one_beats_is_on_the_front() -> None:
    good = [point(10, 100), point(20, 50), point(20, 40, 1), point(30, 40)]
    assert pareto([*good, point(20, 51), point(30, 41), point(31, 40), point(20, 50, 1)]) == (
        *(good[0], good[2], good[1], good[3]),
    )


def test_more_lanes_are_quicker_and_larger() -> None:
    front = search(PROGRAM, whole_front=True).front
    assert len(front) > 3
    assert [p.cycles for p in front] == sorted(p.cycles for p in front)
    slowest = evaluate(PROGRAM, {}, NO_BLOCKS)
    assert front[0].cycles < slowest.cycles
    assert front[0].luts > slowest.luts


def test_the_smallest_that_is_quick_enough() -> None:
    slow, quick = evaluate(PROGRAM, {}, BLOCK_BITS), search(PROGRAM, whole_front=True).front[0]
    target = (slow.cycles + quick.cycles) // 2
    chosen = search(PROGRAM, target_latency=target)
    assert chosen.point.cycles <= target
    assert chosen.point in chosen.front
    assert all(p.cycles > target or p.luts >= chosen.point.luts for p in chosen.front)


def test_the_quickest_within_budgets() -> None:
    budget = evaluate(PROGRAM, {}, NO_BLOCKS).luts + 100
    chosen = search(PROGRAM, budget_luts=budget, budget_brams=0).point
    assert (chosen.luts <= budget, chosen.brams) == (True, 0)
    assert chosen.cycles < evaluate(PROGRAM, {}, NO_BLOCKS).cycles


@pytest.mark.parametrize("wish", [{"target_latency": 3}, {"budget_luts": 5}], ids=str)
def test_what_cannot_be_had(wish: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="no folding keeps to these budgets"):
        search(PROGRAM, **wish)


def test_the_form_that_fits() -> None:
    assert make_hardware(PROGRAM, Circuit()).form == UNROLLED
    chosen = make_hardware(PROGRAM, Circuit(target_latency=500))
    assert chosen.form == FOLDED
    (taken,) = (cost for cost in chosen.front if cost.chosen)
    assert taken.cycles == chosen.inference.cycles
    detector = compile_model(find_model("can-ids-w2a2"), "zcu104")
    assert Circuit().form(detector) == "auto"


def test_estimates_are_good_for_choosing() -> None:
    """Within a factor of two: half of those that were not fitted to are within 10 %, but of small
    networks a synthesiser folds much away (docs/fpga.md)."""
    hardware = make_hardware(PROGRAM, Circuit("auto"))
    found = synthesise_engine(hardware).resources
    size = estimate(hardware.engine)
    assert found.luts / 2 < size.luts < found.luts * 2
    assert size.brams == found.brams


def test_foldings_of_a_detector_leave_what_learns_at_one_lane() -> None:
    model = find_model("can-ids-w2a2")
    how = Learning(precision="integer", update="last")
    program = compile_model(model, "zcu104", learn="sgd", how=how, front_end=False)
    foldings = search(program, target_latency=4000).point.foldings
    assert foldings.get("step_fixed_0", Folding()) == Folding()
    assert foldings["matmul_0"] != Folding()
