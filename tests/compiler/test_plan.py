"""The plan of memory: a program run over the plan's addresses does what its graph says."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgetrain.compiler import plan as plan_module
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph, GraphBuilder, Value
from edgetrain.compiler.interface import InputCode, OutputCode
from edgetrain.compiler.kernel import Target
from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.plan import ALIGNMENT, plan
from edgetrain.compiler.program import Program
from edgetrain.compiler.types import FLOAT16, FLOAT32, Int, TensorType
from edgetrain.simulator import Simulator
from tests.compiler.draws import Array
from tests.compiler.interpreter import interpret
from tests.compiler.memory import Memory, live_bytes
from tests.compiler.random_graphs import ELEMENT, FEW_BITS, random_graph, random_inputs
from tests.oracles.models import random_qonnx
from tests.support import REPOSITORY

STEPS = 3
SEEDS = range(80)


def planned(*graphs: Graph) -> Program:
    kind = TensorType((1,), Int(0, 1))
    return plan(graphs, Target("none", frozenset()), InputCode(kind), OutputCode(kind), {})


class Reference:
    """A graph as it is written: values never change, states change between runs."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.state = {s.current.name: s.initial for s in graph.states}

    def run(self, *inputs: Array) -> tuple[Array, ...]:
        values: dict[Value, Array] = dict(zip(self._graph.inputs, inputs, strict=True))
        values |= self._graph.constants
        values |= {s.current: self.state[s.current.name] for s in self._graph.states}
        for node in self._graph.nodes:
            results = interpret(node.nest, [values[v] for v in node.inputs])
            values |= dict(zip(node.outputs, results, strict=True))
        self.state = {s.current.name: values[s.next] for s in self._graph.states}
        return tuple(values[v] for v in self._graph.outputs)


def mismatches(graph: Graph, program: Program, seed: int) -> Iterator[str]:
    """What differs between the graph as written and the program in its memory."""
    rng = np.random.default_rng(seed)
    reference, memory = Reference(graph), Memory(program, seed)
    for step in range(STEPS):
        inputs = random_inputs(graph, rng)
        expected, found = reference.run(*inputs), memory.run(graph.name, *inputs)
        for name, right, array in zip(graph.output_names, expected, found, strict=True):
            if not np.array_equal(right, array):
                yield f"step {step}: output {name}"
        for name, right in reference.state.items():
            if not np.array_equal(right, memory.state[name]):
                yield f"step {step}: state {name}"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_program_in_its_memory_does_what_the_graph_says(seed: int) -> None:
    graph = random_graph(seed)
    assert list(mismatches(graph, planned(graph), seed)) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_the_simulator_does_what_the_graph_says(seed: int) -> None:
    graph = random_graph(seed)
    rng = np.random.default_rng(seed)
    reference, simulator = Reference(graph), Simulator(planned(graph))
    for _ in range(STEPS):
        inputs = random_inputs(graph, rng)
        expected, found = reference.run(*inputs), simulator.run(graph.name, *inputs)
        for right, array in zip(expected, found, strict=True):
            assert np.array_equal(right, array)
        assert simulator.state.keys() == reference.state.keys()
        for name, right in reference.state.items():
            assert np.array_equal(right, simulator.state[name])


def test_the_graphs_update_in_place_and_by_copies_and_by_rows() -> None:
    in_place = copied = rows = 0
    for seed in SEEDS:
        program = planned(random_graph(seed))
        for call in program.entries[0].calls:
            if program.buffers[call.outputs[0]].home:
                in_place += call.op != "copy"
                copied += call.op == "copy"
                rows += bool(call.point)
    assert min(in_place, copied) > 20
    assert rows > 5


def test_matrices_of_few_bits_are_packed_and_nothing_else_is() -> None:
    packed = set()
    for program in (planned(random_graph(seed)) for seed in SEEDS):
        for buffer in program.buffers.values():
            few = len(buffer.type.shape) == 2 and buffer.type.scalar == FEW_BITS
            inside = buffer.kind in ("constant", "state", "arena")
            if buffer.kind != "constant":
                assert (buffer.layout.bits == 2) == (few and inside), buffer
            packed |= {(buffer.kind, buffer.layout.order)} if buffer.layout.bits else set()
            if buffer.home:
                assert buffer.layout == program.buffers[buffer.home].layout
    both = {None, (1, 0)}
    assert packed >= {(kind, order) for kind in ("state", "arena") for order in both}


def test_an_illegal_update_in_place_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "_elementwise", lambda node, old, new: True)
    assert any(any(mismatches(random_graph(s), planned(random_graph(s)), s)) for s in SEEDS)


def test_a_buffer_on_top_of_a_live_one_would_show() -> None:
    def collapsed(seed: int) -> Program:
        program = planned(random_graph(seed))
        flat = {name: replace(b, offset=0) for name, b in program.buffers.items()}
        return replace(program, buffers=flat)

    assert any(any(mismatches(random_graph(s), collapsed(s), s)) for s in SEEDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_arena_holds_what_is_live_and_is_aligned(seed: int) -> None:
    program = planned(random_graph(seed))
    (entry,) = program.entries
    assert program.arena_bound == max(live_bytes(program, entry, ALIGNMENT), default=0)
    arena = program.of_kind("arena")
    padded = [-(-b.bytes // ALIGNMENT) * ALIGNMENT for b in arena]
    assert program.arena_bound <= program.arena_bytes <= sum(padded)
    for buffer in arena:
        assert buffer.offset % ALIGNMENT == 0
        assert buffer.offset + buffer.bytes <= program.arena_bytes
    for buffer in program.buffers.values():
        whole = buffer.type.size * storage_dtype(buffer.type.scalar).itemsize
        assert buffer.layout.bits is not None or buffer.bytes == whole


def test_a_chain_of_layers_needs_no_more_than_two_at_once() -> None:
    builder = GraphBuilder("chain")
    value = builder.input("x", TensorType((16,), ELEMENT))
    for width in (40, 8, 24, 24, 3):
        w = builder.constant(np.ones((value.type.size, width), np.int8), Int(-1, 1))
        value = builder.apply("matmul", value, w)
    builder.output("y", value)
    program = planned(builder.build())
    assert program.arena_bytes == program.arena_bound


def test_entries_share_constants_state_and_arena() -> None:
    graphs = [replace(random_graph(seed), name=f"g{seed}") for seed in (1, 2)]
    first = graphs[0]
    again = replace(first, name="again")
    program = planned(first, again)
    assert program.constants.keys() == planned(first).constants.keys()
    assert program.initial.keys() == planned(first).initial.keys()
    assert program.arena_bytes == planned(first).arena_bytes
    reference, memory = Reference(first), Memory(program)
    rng = np.random.default_rng(0)
    for name in (first.name, "again", first.name):
        inputs = random_inputs(first, rng)
        for right, found in zip(reference.run(*inputs), memory.run(name, *inputs), strict=True):
            assert np.array_equal(right, found)


def test_outputs_that_no_node_computes_are_copied() -> None:
    builder = GraphBuilder("g")
    x = builder.input("x", TensorType((3,), ELEMENT))
    kept = builder.state("s", np.array([1, 2, 3], np.int8), ELEMENT)
    c = builder.constant(np.array([4, 5], np.int8))
    for name, value in {"a": x, "b": kept, "c": c, "d": x}.items():
        builder.output(name, value)
    take = (builder.constant(np.array(i), Int(0, 2)) for i in (0, 1))
    first, second = (builder.apply("take", i, kept) for i in take)
    index = builder.constant(np.array(2), Int(2, 2))
    builder.update(kept, builder.apply("put", kept, index, first))
    builder.output("e", second)
    builder.output("f", second)
    graph = builder.build()
    assert list(mismatches(graph, planned(graph), 0)) == []
    outputs = planned(graph).entries[0].outputs
    assert len(set(outputs)) == 6
    assert {planned(graph).buffers[name].kind for name in outputs} == {"output"}


def test_states_that_change_places_are_refused() -> None:
    builder = GraphBuilder("g")
    a, b = (builder.state(n, np.zeros(3, np.int8), ELEMENT) for n in "ab")
    builder.update(a, b)
    builder.update(b, a)
    builder.output("y", a)
    with pytest.raises(ValueError, match="moves into another state"):
        planned(builder.build())


@pytest.mark.parametrize(("op", "refused"), [("relu", True), ("cast", False)])
def test_halves_are_kept_anywhere_and_computed_with_where_a_board_can(
    op: str, refused: bool
) -> None:
    builder = GraphBuilder("g")
    x = builder.input("x", TensorType((3,), FLOAT16))
    builder.output("y", builder.apply(op, x, **({"to": FLOAT32} if op == "cast" else {})))
    with pytest.raises(InputError, match="FLOAT16") if refused else nullcontext():
        planned(builder.build())


SCRIPT = """
import sys
from edgetrain.compiler.kernel import Target
from edgetrain.compiler.onnx_io.load import import_model
from edgetrain.compiler.passes import run_passes
from edgetrain.compiler.plan import plan
from edgetrain.compiler.program_file import program_text
model = import_model(sys.argv[1])
program = plan([run_passes(model.graph)], Target("t", frozenset("abcdefg")),
               model.input_code, model.output_code, {})
sys.stdout.write(program_text(program))
"""


def test_the_same_model_gives_the_same_text_whatever_the_hash_seed(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(random_qonnx(17).model, path)
    texts = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=REPOSITORY,
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("0", "1", "4294967295")
    ]
    assert len(texts[0]) > 1000
    assert len(set(texts)) == 1
