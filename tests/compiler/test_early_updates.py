"""Updates that move early: the same bits, in a smaller arena."""

from pathlib import Path

import numpy as np
import pytest

from edgetrain.compiler.graph import Graph, GraphBuilder
from edgetrain.compiler.passes import early_updates
from edgetrain.compiler.passes.early_updates import EarlyUpdates
from edgetrain.compiler.plan import arena_bytes
from edgetrain.compiler.rules import Learning
from edgetrain.compiler.types import FLOAT32, TensorType
from edgetrain.pipeline import compile_model
from tests.compiler.random_graphs import random_graph
from tests.compiler.test_plan import SEEDS, mismatches, planned
from tests.training.models import random_layers, write_mlp


def by_turns(layers: int) -> Graph:
    """Each layer's input is kept in a state of its own; all updates stand at the end."""
    b = GraphBuilder("turns")
    a = b.input("x", TensorType((8,), FLOAT32))
    updates = []
    for layer in range(layers):
        state = b.state(f"s{layer}", np.zeros(8, np.float32), FLOAT32)
        updates.append((state, b.apply("scale", a, factor=0.5)))
        a = b.apply("tanh", b.apply("add", a, state))
    for state, change in updates:
        b.update(state, b.apply("add", state, change))
    b.output("y", a)
    return b.build()


def test_layer_by_layer_the_arena_does_not_grow() -> None:
    graphs = [by_turns(layers) for layers in (3, 4, 8)]
    sizes = [arena_bytes(EarlyUpdates().apply(graph)) for graph in graphs]
    assert len(set(sizes)) == 1
    assert [arena_bytes(graph) > size for graph, size in zip(graphs, sizes, strict=True)] == [
        True
    ] * 3
    for graph in graphs:
        assert list(mismatches(graph, planned(EarlyUpdates().apply(graph)), 0)) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_in_its_memory_it_does_what_the_graph_says(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = random_graph(seed)
    assert arena_bytes(EarlyUpdates().apply(graph)) <= arena_bytes(graph)
    # The new order is kept, whatever it costs.
    sizes = iter([0, 1])
    monkeypatch.setattr(early_updates, "arena_bytes", lambda _: next(sizes))
    moved = EarlyUpdates().apply(graph)
    assert sorted(map(id, moved.nodes)) == sorted(map(id, graph.nodes))
    assert list(mismatches(graph, planned(moved), seed)) == []


def test_random_graphs_are_reordered() -> None:
    orders = [early_updates._Order(random_graph(seed)).nodes for seed in SEEDS]
    changed = [list(random_graph(s).nodes) != order for s, order in zip(SEEDS, orders, strict=True)]
    assert sum(changed) > 20


@pytest.mark.parametrize("rule", ["momentum", "adam"])
def test_updates_move_forward_in_back_propagation(rule: str, tmp_path: Path) -> None:
    """Of each layer's activation and its gradient one lives at a time."""
    sizes = (16, *[32] * 6, 5)
    path = write_mlp(tmp_path / "m.onnx", *random_layers(sizes, seed=1))
    program = compile_model(path, learn=rule, how=Learning())
    activations = sum(sizes[1:]) * 4
    assert program.arena_bytes < activations + 300
