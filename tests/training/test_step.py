"""The counter of training steps: one a graph, from zero, and it stops at its greatest value."""

from pathlib import Path

import numpy as np

from edgetrain.board import load_board
from edgetrain.compiler.graph import GraphBuilder
from edgetrain.compiler.interface import InputCode, OutputCode
from edgetrain.compiler.kernel import Target
from edgetrain.compiler.plan import plan
from edgetrain.compiler.rules.step import COUNT, step_counter
from edgetrain.compiler.types import FLOAT32, TensorType
from edgetrain.link import open_link
from edgetrain.simulator import Simulator
from tests.c.harness import BUILDS, build_program


def test_it_counts_and_then_stays(tmp_path: Path) -> None:
    b = GraphBuilder("count")
    b.input("unused", TensorType((), FLOAT32))
    counter = step_counter(b)
    assert step_counter(b) is counter
    b.output("taken", counter)
    codes = InputCode(counter.type), OutputCode(counter.type)
    program = plan([b.build()], Target("host", frozenset()), *codes, {})
    simulator = Simulator(program)
    zero = np.array(0, np.float32)
    assert [int(simulator.run("count", zero)[0]) for _ in range(3)] == [0, 1, 2]
    start = {"step": np.array(COUNT.hi - 1, np.int32)}
    simulator.load_state(start)
    late = [COUNT.hi - 1, COUNT.hi, COUNT.hi]
    assert [int(simulator.run("count", zero)[0]) for _ in range(3)] == late
    image = build_program(program, tmp_path, *BUILDS["gcc -O1"])
    with open_link(load_board("host"), image, "host") as link:
        data = zero.tobytes()
        counted = [int.from_bytes(link.run(0, data).output, "little") for _ in range(3)]
        assert counted == [0, 1, 2]
        link.write_state(0, start["step"].tobytes())
        counted = [int.from_bytes(link.run(0, data).output, "little") for _ in range(3)]
        assert counted == late
