"""Every float op, by the vectors and blocked loops of each instruction set, on an emulated core."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgetrain.board import Board, all_boards, load_board
from edgetrain.compiler.graph import Graph
from edgetrain.compiler.interface import InputCode, OutputCode
from edgetrain.compiler.kernel import Target
from edgetrain.compiler.ops import OPS, Example, Op
from edgetrain.compiler.plan import plan
from edgetrain.compiler.types import FLOAT16, FLOAT32, Float, TensorType
from edgetrain.kernels.c.kernels import KERNELS, VECTOR_UNITS
from edgetrain.kernels.c.units import Unit
from edgetrain.link import Link, open_link
from edgetrain.networks import ReferenceNetwork
from edgetrain.pipeline import Program, compile_model, runnable, write_project
from edgetrain.toolchain import IMAGE_FILE
from edgetrain.verify import verify
from tests.c.harness import Pair, build_program, draw
from tests.c.op_graphs import op_graph
from tests.support import needs_tool

SAMPLES = 2
SHAPES = ((1, 1), (3, 5), (8, 8), (33, 9), (40, 37), (5, 131))
"""Rows and columns: less than a vector, whole ones, and tails of every kind."""
SPELLED_OUT = tuple(unit for unit in VECTOR_UNITS if "xpulp-fp16" in unit.requires)
"""Units that no emulator has."""
BY_ROWS = ("matmul", "matmul_t", "outer", "rank_one")


def boards() -> list[Board]:
    """One board for each set of features that kernels tell apart, with an emulator."""
    known = frozenset().union(*(unit.requires for unit in VECTOR_UNITS), {"thumb2", "f32", "f16"})
    found: dict[frozenset[str], Board] = {}
    for board in all_boards():
        if board.qemu is not None and "f32" in board.features:
            found.setdefault(known & set(board.features), board)
    return list(found.values())


def graphs(scalar: Float) -> Iterator[Graph]:
    """Ops over floats only, each in several shapes."""
    for op in OPS.values():
        rng = np.random.default_rng([19, scalar.bits, *op.name.encode()])
        examples = [op.example(rng) for _ in range(2)]
        if op.name in BY_ROWS:
            examples += [shaped(op, rng, k, n) for k, n in SHAPES]
        for number, example in enumerate(examples):
            yield from of_type(scalar, op, example, f"{op.name}_{number}", rng)


def shaped(op: Op, rng: np.random.Generator, k: int, n: int) -> Example:
    """An example with a matrix of k rows and n columns."""
    rows = columns = 0
    while rows == columns:  # of a square nobody knows which side is which
        example = op.example(rng)
        rows, columns = next(
            (t.shape for t in example.operands if len(t.shape) == 2),
            tuple(t.shape[0] for t in example.operands[:2]),
        )
    sizes = {rows: k, columns: n}
    kinds = (
        TensorType(tuple(sizes[size] for size in kind.shape), kind.scalar)
        for kind in example.operands
    )
    return replace(example, operands=tuple(kinds))


def of_type(
    scalar: Float, op: Op, example: Example, name: str, rng: np.random.Generator
) -> Iterator[Graph]:
    """The op over `scalar`, if it is one over floats and defined for them."""
    if any(kind.scalar != FLOAT32 for kind in example.operands):
        return
    kinds = tuple(TensorType(kind.shape, scalar) for kind in example.operands)
    try:
        yield op_graph(name, op, replace(example, operands=kinds), rng, len(kinds))
    except TypeError:
        return


def program_of(scalar: Float, board: Board, features: frozenset[str]) -> Program:
    """All graphs over `scalar`, by all kernels that cores with `features` have."""
    drawn = list(graphs(scalar))
    code = InputCode(drawn[0].inputs[0].type), OutputCode(drawn[0].outputs[0].type)
    program = runnable(plan(drawn, Target(board.name, features, KERNELS), *code, {}))
    used = {call.kernel for entry in program.entries for call in entry.calls}
    fitting = [u.name for u in VECTOR_UNITS if u.requires <= features and scalar.bits in u.floats]
    assert used >= set(fitting)
    return program


def check(program: Program, link: Link) -> None:
    rng = np.random.default_rng(20)
    pair = Pair(program, link)
    for entry in program.entries:
        kinds = [program.buffers[name].type for name in entry.inputs]
        for _ in range(SAMPLES):
            pair.check(entry, [draw(rng, kind) for kind in kinds])


@pytest.mark.parametrize("scalar", [FLOAT32, FLOAT16], ids=["fp32", "fp16"])
@pytest.mark.parametrize("board", boards(), ids=lambda board: board.name)
def test_outputs_are_the_simulator_s(board: Board, scalar: Float, tmp_path: Path) -> None:
    assert board.qemu is not None
    needs_tool(board.qemu.program)
    features = frozenset(board.features)
    if f"fma{scalar.bits}" not in features:
        return  # the core has no such numbers
    program = program_of(scalar, board, features)
    write_project(program, tmp_path / "out")
    with open_link(board, tmp_path / "out" / IMAGE_FILE, "qemu") as link:
        check(program, link)


@pytest.mark.parametrize("unit", SPELLED_OUT, ids=lambda unit: unit.name)
def test_what_no_emulator_has_is_tried_spelled_out(unit: Unit, tmp_path: Path) -> None:
    """The same text, whose header does without the instructions, on this machine."""
    host = load_board("host")
    features = frozenset(host.features) | unit.requires
    program = program_of(FLOAT16, host, features)
    flags = ("-O2", "-fexcess-precision=16")
    image = build_program(program, tmp_path, "gcc", flags, features=sorted(features))
    with open_link(host, image, "host") as link:
        check(program, link)


@pytest.mark.parametrize("board", ["mps3-an547", "pulp-xpulp"])
def test_the_host_keeps_the_contracts_of_another_board(board: str, tmp_path: Path) -> None:
    network = ReferenceNetwork((12, 33, 29, 4), "fp16")
    model = tmp_path / "net.onnx"
    model.write_bytes(network.model().SerializeToString())
    program = compile_model(model, board, learn="sgd", how=network.learning)
    write_project(program, tmp_path / "out", with_image=False)
    folds = [o.fold for e in program.entries for c in e.calls for o in c.nest.outs if o.fold]
    assert any(fold.contract is not None and fold.contract.lanes > 1 for fold in folds)
    report = verify(tmp_path / "out", samples=20, steps=30, link="host")
    assert report.bit_exact, report.first_mismatch


def test_every_vector_unit_has_a_board() -> None:
    for unit in VECTOR_UNITS:
        able = [board for board in all_boards() if unit.requires <= set(board.features)]
        assert able, unit.name
        assert unit in SPELLED_OUT or any(board in boards() for board in able)
    assert load_board("mps2-an386") in boards()
