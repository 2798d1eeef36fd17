"""The pass that replaces thresholds by one product: equal for every accumulator, or not done."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetrain.compiler.graph import Graph, GraphBuilder
from edgetrain.compiler.passes.requantise import Requantise, fit_lines
from edgetrain.compiler.types import Int, TensorType
from edgetrain.executor import NestExecutor, Tensor
from tests.compiler.draws import Array

ACCUMULATORS = st.sampled_from([Int(-700, 900), Int(0, 1500), Int(-40, -3), Int(-1, 1), Int(5, 5)])


def counts(table: Array, x: Array) -> Array:
    """For every accumulator of `x`, the number of thresholds of each row that it reaches."""
    return np.array([[sum(t <= v for t in row) for row in table.tolist()] for v in x.tolist()])


def graph_of(table: Array, x: Int, lowest: int) -> Graph:
    builder = GraphBuilder("g")
    source = builder.input("x", TensorType((len(table),), x))
    thresholds = builder.constant(table)
    builder.output("y", builder.apply("threshold", source, thresholds, lowest=lowest))
    return builder.build()


def results(graph: Graph, x: Array) -> Array:
    """What `graph`, of one node, gives where every channel holds each of `x`."""
    (node,) = graph.nodes
    operands = [Tensor(graph.constants[v], False) for v in node.inputs[1:]]
    channels = node.inputs[0].type.size
    data = Tensor(np.broadcast_to(x, (channels, len(x))), True)
    (result,) = NestExecutor(node.nest, {})([data, *operands])
    return result.array.T.astype(np.int64)


def check(table: Array, x: Int, lowest: int) -> bool:
    """Whether the pass replaced the thresholds; what it made must be the same everywhere."""
    graph = graph_of(table, x, lowest)
    changed = Requantise(levels=1).apply(graph)
    every = np.arange(x.lo, x.hi + 1)
    assert np.array_equal(results(changed, every), lowest + counts(table, every))
    return changed.nodes[0].op == "requantise"


def line(rng: np.random.Generator, levels: int, x: Int, dyadic: bool) -> list[int]:
    """Thresholds as a scale makes them, also beyond both ends of the accumulator's range."""
    widest = 1.5 * (x.hi - x.lo + 1) / levels
    step = 2.0 ** rng.integers(-1, 6) if dyadic else rng.uniform(0.3, max(0.4, widest))
    start = rng.uniform(x.lo - 20, x.hi + 5)
    if dyadic:
        start = np.round(start * 2) / 2
    exact = start + step * np.arange(levels)
    return [int(t) for t in np.clip(np.ceil(exact), x.lo, x.hi + 1)]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), ACCUMULATORS, st.booleans(), st.integers(-130, 3))
def test_thresholds_on_lines_are_replaced(
    seed: int, levels: int, x: Int, dyadic: bool, lowest: int
) -> None:
    rng = np.random.default_rng(seed)
    table = np.array([line(rng, levels, x, dyadic) for _ in range(int(rng.integers(1, 4)))])
    assert check(table, x, lowest)


@settings(max_examples=150, deadline=None)
@given(st.data(), ACCUMULATORS, st.integers(-9, 9))
def test_any_thresholds_keep_their_meaning(data: st.DataObject, x: Int, lowest: int) -> None:
    levels = data.draw(st.integers(1, 6))
    row = st.lists(st.integers(x.lo, x.hi + 1), min_size=levels, max_size=levels).map(sorted)
    table = data.draw(st.lists(row, min_size=1, max_size=3))
    check(np.array(table, np.int64), x, lowest)


def test_thresholds_on_no_line_are_kept() -> None:
    assert not check(np.array([[0, 1, 2, 3, 400]]), Int(-700, 900), 0)
    assert not check(np.array([[10, 20, 30], [0, 1, 500]]), Int(-700, 900), 0)


def test_few_levels_are_kept() -> None:
    graph = graph_of(np.array([[10, 20, 30]]), Int(0, 50), 0)
    assert Requantise(levels=4).apply(graph) == graph
    assert Requantise(levels=3).apply(graph) != graph


def test_thresholds_that_are_no_constant_are_kept() -> None:
    builder = GraphBuilder("g")
    x = builder.input("x", TensorType((2,), Int(0, 50)))
    t = builder.input("t", TensorType((2, 3), Int(0, 50)))
    builder.output("y", builder.apply("threshold", x, t))
    graph = builder.build()
    assert Requantise(levels=1).apply(graph) == graph


@pytest.mark.parametrize("bits", [20, 31, 40, 55])
def test_wide_accumulators_are_replaced_only_within_64_bits(bits: int) -> None:
    x = Int(-(2**bits), 2**bits)
    rng = np.random.default_rng(bits)
    steps = np.sort(rng.integers(-(2**bits), 2**bits, 2)).tolist()
    table = np.linspace(steps[0], steps[1], 200).astype(np.int64)[None]
    near = np.unique(np.clip([*table[0] - 1, *table[0], *table[0] + 1, x.lo, x.hi], x.lo, x.hi))
    graph = Requantise().apply(graph_of(table, x, -100))
    assert np.array_equal(results(graph, near), -100 + counts(table, near))


def test_the_lines_of_equal_channels_are_equal() -> None:
    table = np.array([[10, 20, 30, 40]] * 3)
    lines = fit_lines(table, 0, Int(0, 99))
    assert lines is not None
    factors, offsets, _ = lines
    assert len(set(factors.tolist())) == len(set(offsets.tolist())) == 1
