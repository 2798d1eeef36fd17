"""Passes that serve every graph: what is computed twice, or could be computed now or elsewhere."""

from collections.abc import Sequence

import numpy as np

from edgetrain.compiler.batch import lift_nest
from edgetrain.compiler.graph import Graph, GraphBuilder
from edgetrain.compiler.ops import OPS
from edgetrain.compiler.passes import run_passes
from edgetrain.compiler.passes.base import Pass
from edgetrain.compiler.passes.common_nodes import CommonNodes
from edgetrain.compiler.passes.dead_nodes import DeadNodes
from edgetrain.compiler.passes.fold_constants import FoldConstants
from edgetrain.compiler.passes.fuse_into_fold import FuseIntoFold
from edgetrain.compiler.passes.fuse_maps import FuseMaps
from edgetrain.compiler.types import FLOAT32, Int, TensorType
from edgetrain.executor import evaluate
from edgetrain.simulator import Simulator
from tests.c.harness import make_program
from tests.compiler.random_graphs import random_graph, random_inputs


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


def fused_into_fold(graph: Graph) -> list[str]:
    return ops(check(graph, [FuseMaps(), FuseIntoFold()]))


def test_a_map_of_a_state_is_computed_within_the_fold_that_reads_it() -> None:
    b = GraphBuilder("perturbed")
    x = b.input("x", TensorType((4,), FLOAT32))
    step = b.state("step", np.array(5, np.int32), Int(0, 2**31 - 2))
    b.update(step, b.apply("count", step))
    w = b.state("w", np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3), FLOAT32)
    bias = b.state("b", np.array([0.5, -0.0, 2], np.float32), FLOAT32)
    how = {"distribution": "normal", "scale": 0.5, "seed": 1}
    moved = [
        b.apply("add", v, b.apply("random", step, shape=v.type.shape, stream=i, **how))
        for i, v in enumerate((w, bias))
    ]
    b.output("y", b.apply("matmul", x, *moved))
    graph = b.build()
    assert fused_into_fold(graph) == ["count", "matmul"]
    passes = (FuseMaps(), FuseIntoFold(), DeadNodes())
    assert make_program([run_passes(graph, passes)]).arena_bytes <= 8  # the next step


def test_a_map_whose_operands_are_smaller_is_computed_within_a_sum() -> None:
    b = GraphBuilder("spread")
    x = b.input("x", TensorType((4,), FLOAT32))
    left, right = b.apply("relu", x), b.apply("tanh", x)
    b.output("y", b.apply("greatest_size", b.apply("outer", left, right)))
    b.output("z", b.apply("sum", left))
    assert fused_into_fold(b.build()) == ["relu", "tanh", "greatest_size", "sum"]


def lifted(outputs: int) -> Graph:
    """A matrix of which each element is read by every row of a batch, which makes `outputs`."""
    b = GraphBuilder("repeated")
    x = b.input("x", TensorType((4,), FLOAT32))
    y = b.apply("relu", x)
    w = b.state("w", np.ones((4, outputs), np.float32), FLOAT32)
    kinds = (TensorType((4,), FLOAT32), TensorType((4, outputs), FLOAT32))
    nest = lift_nest(OPS["matmul"].meaning(*kinds), (True, False), 2)
    rows = b.nest(lift_nest(OPS["scale"].meaning(kinds[0], factor=2.0), (False,), 2), y)[0]
    b.output("y", b.nest(nest, rows, b.apply("scale", w, factor=0.5))[0])
    return b.build()


def test_elements_that_are_read_again_are_computed_again_only_to_save_much() -> None:
    """Of 4·N elements against 2·4 and 2·N."""
    assert len(ops(check(lifted(4), [FuseIntoFold()]))) == 4
    assert len(ops(check(lifted(5), [FuseIntoFold()]))) == 3


def test_what_a_fold_leaves_alone() -> None:
    b = GraphBuilder("kept")
    x = b.input("x", TensorType((4,), FLOAT32))
    w = b.state("w", np.ones((4, 4), np.float32), FLOAT32)
    y = b.apply("relu", x)
    # A product as the term of a sum would lose its rounding.
    b.output("a", b.apply("sum", b.apply("scale", x, factor=0.1)))
    # Two readers.
    twice = b.apply("scale", w, factor=0.3)
    b.output("b", b.apply("matmul", y, twice))
    b.output("c", b.apply("matmul_t", y, twice))
    # An output.
    shown = b.apply("tanh", x)
    b.output("d", shown)
    b.output("e", b.apply("greatest_size", shown))
    # Nothing is saved: what it is made of would have to stay.
    b.output("f", b.apply("greatest_size", b.apply("mul", y, b.apply("sigmoid", y))))
    graph = b.build()
    assert ops(check(graph, [FuseIntoFold()])) == ops(graph)


def test_of_random_graphs_fusing_changes_no_bit() -> None:
    fused = 0
    for seed in range(100):
        graph = random_graph(seed)
        done = FuseIntoFold().apply(graph)
        fused += done != graph
        rng = np.random.default_rng(seed)
        simulators = [Simulator(make_program([g])) for g in (graph, done)]
        for _ in range(3):
            inputs = random_inputs(graph, rng)
            before, after = (s.run(graph.name, *inputs) for s in simulators)
            assert [y.tobytes() for y in before] == [y.tobytes() for y in after]
    assert fused >= 3
