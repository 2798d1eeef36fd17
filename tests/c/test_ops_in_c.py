"""Every op as printed C gives the simulator's bits, whatever compiler and optimisation."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgetrain.board import load_board
from edgetrain.compiler.contract import Contract
from edgetrain.compiler.expr import add, clamp
from edgetrain.compiler.graph import Graph, GraphBuilder
from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.nest import Nest, Out, Read
from edgetrain.compiler.ops import OPS
from edgetrain.compiler.types import FLOAT32, Int, TensorType
from edgetrain.link import open_link
from edgetrain.simulator import Simulator
from tests.c.harness import BUILDS, Pair, build_program, draw, make_program, pack
from tests.c.op_graphs import all_graphs

SAMPLES = 12


@pytest.fixture(
    scope="module", params=["gcc -O0 sanitized", "gcc -O3", "clang -O0", "clang -O3 sanitized"]
)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """All graphs; with float sums fused in blocked loops under GCC, and with separate rounding in
    plain loops under Clang."""
    toolchain, flags = BUILDS[request.param]
    blocked = toolchain == "gcc"
    program = make_program(all_graphs(), fused=blocked)
    features = load_board("host").features if blocked else ()
    image = build_program(
        program, tmp_path_factory.mktemp("c"), toolchain, flags, features=features
    )
    with open_link(load_board("host"), image, "host") as link:
        yield Pair(program, link)


def test_outputs_and_state_are_the_simulator_s(pair: Pair) -> None:
    rng = np.random.default_rng(12)
    for entry in pair.program.entries:
        kinds = [pair.program.buffers[name].type for name in entry.inputs]
        for _ in range(SAMPLES):
            pair.check(entry, [draw(rng, kind) for kind in kinds])
    pair.check_state()


def test_every_op_and_layout_is_among_them() -> None:
    program = make_program(all_graphs())
    calls = [call for entry in program.entries for call in entry.calls]
    assert {call.op for call in calls} >= {*OPS, "copy", "nest"}
    assert any(call.point for call in calls)
    assert {b.layout.bits for b in program.of_kind("constant")} >= {None, 1, 2, 4}
    folds = [out.fold for call in calls for out in call.nest.outs if out.fold is not None]
    assert Contract(fused=True) in {f.contract for f in folds}


def test_constants_that_differ_in_the_sign_of_zero_stay_two() -> None:
    b = GraphBuilder("zeros")
    x = b.input("x", TensorType((1,), FLOAT32))
    for sign in (1, -1):
        zero = b.constant(np.array([sign * 0.0], np.float32))
        b.output(f"y{sign + 1}", b.apply("affine", x, zero, zero))
    outputs = Simulator(make_program([b.build()])).run("zeros", np.array([-0.0], np.float32))
    assert [np.signbit(y[0]) for y in outputs] == [False, False]
    outputs = Simulator(make_program([b.build()])).run("zeros", np.array([1.0], np.float32))
    assert [np.signbit(y[0]) for y in outputs] == [False, True]


def test_inputs_out_of_range_are_refused_and_change_nothing(tmp_path: Path) -> None:
    kinds = [Int(0, 3), Int(-4, 3), Int(0, 300), Int(-(2**20), 5), Int(7, 2**32 - 2), Int(-1, 0)]
    kinds += [Int(0, 2**62 - 1), Int(-(2**60), 2**61), Int(1, 2**63 - 1)]
    program = make_program([counting_graph(i, scalar) for i, scalar in enumerate(kinds)])
    image = build_program(program, tmp_path, "gcc", BUILDS["gcc -O0 sanitized"][1])
    with open_link(load_board("host"), image, "host") as link:
        pair = Pair(program, link)
        for entry, scalar in zip(program.entries, kinds, strict=True):
            buffer = program.buffers[entry.inputs[1]]
            dtype = storage_dtype(scalar)
            good = np.array([scalar.lo, scalar.hi, scalar.lo], dtype)
            pair.check(entry, [np.array(1, np.uint8), good])
            limits = np.iinfo(dtype)
            for bad in {scalar.lo - 1, scalar.hi + 1, int(limits.min), int(limits.max)}:
                if limits.min <= bad <= limits.max and bad not in scalar:
                    wrong = good.copy()
                    wrong[2] = bad
                    data = b"\1" + pack(buffer, wrong)
                    assert link.run(program.entries.index(entry), data).status == 1, bad
            assert link.run(program.entries.index(entry), b"\2" + pack(buffer, good)).status == 1
        pair.check_state()


def counting_graph(number: int, scalar: Int) -> Graph:
    """One state that changes with every call."""
    b = GraphBuilder(f"count_{number}")
    step = b.input("step", TensorType((), Int(0, 1)))
    x = b.input("x", TensorType((3,), scalar))
    count = b.state(f"count_{number}", np.zeros((), np.uint8), Int(0, 200))
    old, by = Read("old", (), count.type), Read("by", (), step.type)
    body = clamp(add(old.value, by.value), Int(0, 200))
    b.update(count, b.nest(Nest((), (old, by), (Out("y", (), Int(0, 200), body),)), count, step)[0])
    b.output("y", b.apply("take", step, x))
    return b.build()
