"""What a program only keeps: numbers of few bits in words, and halves on cores without their
arithmetic, on emulated cores."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgetrain.board import load_board
from edgetrain.compiler.graph import Graph
from edgetrain.compiler.interface import InputCode, OutputCode
from edgetrain.compiler.kernel import Target, computes_in_half
from edgetrain.compiler.plan import plan
from edgetrain.kernels.c.kernels import KERNELS
from edgetrain.link import open_link
from edgetrain.pipeline import runnable, write_project
from edgetrain.toolchain import IMAGE_FILE
from tests.c.harness import Pair, draw
from tests.c.op_graphs import op_graphs, uses_half
from tests.c.packed_graphs import packed_state_graphs
from tests.support import needs_tool

BOARDS = ("mps2-an386", "qemu-rv32imc", "mps3-an547")
SAMPLES = 2


def graphs() -> Iterator[Graph]:
    """Every use of packed states, and every op that moves or converts halves."""
    yield from packed_state_graphs()
    halves = [graph for graph in op_graphs() if uses_half(graph)]
    kept = [g for g in halves if not any(computes_in_half(node.nest) for node in g.nodes)]
    assert {node.op for graph in kept for node in graph.nodes} >= {"cast", "quantise", "slice"}
    yield from kept


@pytest.mark.parametrize("name", BOARDS)
def test_a_core_keeps_what_the_simulator_keeps(name: str, tmp_path: Path) -> None:
    board = load_board(name)
    assert board.qemu is not None
    needs_tool(board.qemu.program)
    drawn = list(graphs())
    kind = drawn[0].outputs[0].type
    target = Target(name, frozenset(board.features), KERNELS)
    program = runnable(plan(drawn, target, InputCode(kind), OutputCode(kind), {}))
    write_project(program, tmp_path / "out")
    rng = np.random.default_rng(22)
    with open_link(board, tmp_path / "out" / IMAGE_FILE) as link:
        pair = Pair(program, link)
        for entry in program.entries:
            kinds = [program.buffers[n].type for n in entry.inputs]
            for _ in range(SAMPLES):
                pair.check(entry, [draw(rng, kind) for kind in kinds])
        pair.check_state()
