"""Every op of integers, gathers, packed layouts and states that change by rows, in HLS C++."""

from pathlib import Path

import numpy as np
import pytest

from edgetrain.compiler.graph import Graph
from edgetrain.compiler.types import Float
from tests.c.harness import draw, make_program
from tests.c.op_graphs import all_graphs, gather_graphs, state_graphs
from tests.hls.harness import random_foldings, simulated

SAMPLES = 10
EACH = 40
"""Graphs that are compiled together."""


def of_integers(graph: Graph) -> bool:
    made = [value for node in graph.nodes for value in node.outputs]
    values = (*graph.inputs, *graph.constants, *(s.current for s in graph.states), *made)
    return not any(isinstance(value.type.scalar, Float) for value in values)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.config.getoption("--every"):
        graphs = [graph for graph in all_graphs() if of_integers(graph)]
    else:
        graphs = [*gather_graphs(), *state_graphs()]
    groups = [graphs[first : first + EACH] for first in range(0, len(graphs), EACH)]
    metafunc.parametrize("graphs", groups, ids=range(len(groups)))


def test_ops(graphs: list[Graph], tmp_path: Path) -> None:
    program = make_program(graphs)
    rng = np.random.default_rng(12)
    with simulated(program, tmp_path, random_foldings(program, rng)) as pair:
        for entry in program.entries:
            kinds = [program.buffers[name].type for name in entry.inputs]
            for _ in range(SAMPLES):
                pair.check(entry, [draw(rng, kind) for kind in kinds])
        pair.check_state()
