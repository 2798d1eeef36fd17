"""Passes that serve every graph: what is computed twice, what could be computed now."""

from collections.abc import Sequence

import numpy as np

from edgetrain.compiler.graph import Graph, GraphBuilder
from edgetrain.compiler.passes import run_passes
from edgetrain.compiler.passes.base import Pass
from edgetrain.compiler.passes.common_nodes import CommonNodes
from edgetrain.compiler.passes.dead_nodes import DeadNodes
from edgetrain.compiler.passes.fold_constants import FoldConstants
from edgetrain.compiler.types import FLOAT32, TensorType
from edgetrain.executor import evaluate
from edgetrain.simulator import Simulator
from tests.c.harness import make_program


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


def outputs(graph: Graph, x: np.ndarray) -> list[bytes]:
    simulator = Simulator(make_program([graph]))
    return [y.tobytes() for _ in range(3) for y in simulator.run(graph.name, x)]


def check(graph: Graph, passes: Sequence[Pass]) -> Graph:
    """The graph after `passes`, which change no bit of an output or a state."""
    done = run_passes(graph, (*passes, DeadNodes()))
    x = np.array([1.5, -2.0, np.inf, -0.0], np.float32)
    assert outputs(graph, x) == outputs(done, x)
    return done


def test_equal_nodes_are_one() -> None:
    b = GraphBuilder("common")
    x = b.input("x", TensorType((4,), FLOAT32))
    left, right, other = b.apply("relu", x), b.apply("relu", x), b.apply("tanh", x)
    again = b.apply("add", right, right)
    total = b.state("total", np.zeros(4, np.float32), FLOAT32)
    b.update(total, b.apply("add", total, right))
    b.output("a", b.apply("add", left, left))
    b.output("b", again)
    b.output("c", b.apply("mul", other, total))
    done = check(b.build(), [CommonNodes()])
    assert sorted(ops(done)) == ["add", "add", "mul", "relu", "tanh"]


def test_nodes_that_differ_in_an_attribute_are_two() -> None:
    b = GraphBuilder("different")
    x = b.input("x", TensorType((4,), FLOAT32))
    for number, factor in enumerate((0.5, 0.25, -0.0, 0.0)):
        b.output(f"y{number}", b.apply("scale", x, factor=factor))
    assert ops(check(b.build(), [CommonNodes()])) == ["scale"] * 4


def test_what_depends_on_constants_alone_is_computed_now() -> None:
    b = GraphBuilder("folded")
    x = b.input("x", TensorType((4,), FLOAT32))
    c = b.constant(np.array([0.1, -0.2, 3e38, 1e-45], np.float32))
    part = b.apply("scale", b.apply("add", c, c), factor=1 / 3)
    b.output("y", b.apply("mul", x, part))
    done = check(b.build(), [FoldConstants(evaluate)])
    assert ops(done) == ["mul"]
    assert len(done.constants) == 1


def test_sums_of_floats_wait_for_their_contract() -> None:
    b = GraphBuilder("sum")
    x = b.input("x", TensorType((4,), FLOAT32))
    w = b.constant(np.ones((4, 4), np.float32))
    c = b.constant(np.arange(4, dtype=np.float32))
    b.output("y", b.apply("add", x, b.apply("matmul", c, w)))
    assert ops(check(b.build(), [FoldConstants(evaluate)])) == ["matmul", "add"]


def test_a_constant_output_stays_computed() -> None:
    b = GraphBuilder("kept")
    x = b.input("x", TensorType((4,), FLOAT32))
    c = b.constant(np.ones(4, np.float32))
    b.output("y", b.apply("add", c, c))
    b.output("z", b.apply("relu", x))
    assert ops(check(b.build(), [FoldConstants(evaluate)])) == ["add", "relu"]
