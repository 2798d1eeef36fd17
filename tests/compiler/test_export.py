"""Every op of the table as plain ONNX operators, run by onnxruntime, against its meaning."""

import inspect
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from edgetrain.compiler.graph import Graph, GraphBuilder, Value
from edgetrain.compiler.nest import Nest
from edgetrain.compiler.onnx_io.expansions import EXPANSIONS, INEXPRESSIBLE
from edgetrain.compiler.onnx_io.export import export_graph
from edgetrain.compiler.ops import OPS, Example
from edgetrain.compiler.types import Int
from edgetrain.executor import NestExecutor, Tensor
from tests.compiler.draws import draw
from tests.oracles.onnxruntime_runs import onnxruntime_run

Array = NDArray[Any]
SEEDS = 12
POSITIVE = {
    "cross_entropy": "s",
    "cross_entropy_gradient": "s",
    "reciprocal": "s",
    "save": ("greatest",),
    "divide_by": "s",
    "inverse_length": "s",
    "adam_rate": "q",
    "adam_norm": "q",
    "adam": "vs",
}
"""Operands that are sums of exponentials or squares, or sizes: of nothing else is a logarithm
meant, a square root or a quotient."""
UNITS = {"sigmoid": 1.0, "tanh": 1.0, "binary_cross_entropy_gradient": 1.0, "learning_rate": 0.1}
UNITS |= {"project": 8.0}
"""Where the error is in units of this, not of the result: onnxruntime's kernels approximate so, and
the cosine of a schedule cancels to 0 (0.1 is the rate that is drawn), and so do the terms of a
projection, whose matrix has both signs."""


def graph_of(name: str, example: Example) -> Graph:
    """The op alone; an operand that its meaning calls `again` is the one before it once more."""
    b = GraphBuilder("op")
    operands: list[Value] = []
    for parameter, kind in zip(parameters(name), example.operands, strict=False):
        operands.append(operands[-1] if parameter == "again" else b.input(parameter, kind))
    b.output("result", b.apply(name, *operands, **example.attributes))
    return b.build()


def parameters(name: str) -> list[str]:
    return list(inspect.signature(OPS[name].meaning).parameters)


def draw_operands(
    name: str, graph: Graph, example: Example, rng: np.random.Generator
) -> list[Array]:
    """Integers over their whole range.  Floats finite and of moderate size, for ONNX leaves open
    what an operator makes of NaN and infinity, and which zero it gives."""
    drawn = []
    for value in graph.inputs:
        if isinstance(value.type.scalar, Int):
            array = draw(rng, value.type)
        else:
            array = np.asarray(rng.normal(0, 2, value.type.shape))
            array = np.where(rng.random(array.shape) < 0.1, 0.0, array)
            if value.name in POSITIVE.get(name, ""):
                array = np.abs(array) + 0.1
            array = array.astype(f"f{value.type.scalar.bits // 8}")
        if parameters(name).index(value.name) in example.sorted_operands:
            array = np.sort(array, axis=-1)
        drawn.append(array)
    return drawn


def run(nest: Nest, operands: list[Array]) -> list[Array]:
    return [t.array for t in NestExecutor(nest, {})([Tensor(array, False) for array in operands])]


@pytest.mark.parametrize("name", OPS)
def test_onnxruntime_agrees(name: str) -> None:
    if name in INEXPRESSIBLE:
        return
    assert name in EXPANSIONS, f"write the expansion of {name} in compiler/onnx_io/expansions/"
    rng = np.random.default_rng([21, *name.encode()])
    for _ in range(SEEDS):
        example = OPS[name].example(rng)
        graph = graph_of(name, example)
        model = export_graph(graph)
        onnx.checker.check_model(model, full_check=True)
        given = draw_operands(name, graph, example, rng)
        (node,) = graph.nodes
        operands = [given[graph.inputs.index(value)] for value in node.inputs]
        expected = run(node.nest, operands)
        found = onnxruntime_run(
            model, dict(zip((v.name for v in graph.inputs), given, strict=True))
        )
        for right, result in zip(expected, found.values(), strict=True):
            assert result.shape == right.shape
            if right.dtype.kind == "f":
                assert_near(name, node.nest, operands, right, result)
            else:
                np.testing.assert_array_equal(result, right)


def assert_near(name: str, nest: Nest, operands: list[Array], right: Array, result: Array) -> None:
    """Both round every addition of a fold, in some order: a unit of the last place of the sum of
    magnitudes a turn; the operators around it and the functions (exp, log) are good for four more.
    """
    turns = [np.prod([nest.sizes[d] for d in nest.folded_dims(out)]) for out in nest.outs]
    (magnitude, *_) = run(nest, [np.abs(array) for array in operands])
    parts = [np.abs(array) for array in (right, magnitude, *operands) if array.shape == right.shape]
    scale = np.maximum.reduce([*parts, np.full_like(right, UNITS.get(name, 0.0))])
    bound = (4 + max(turns)) * np.spacing(scale).astype(np.float64)
    np.testing.assert_array_less(np.abs(result.astype(np.float64) - right), bound, name)


def test_every_op_is_in_the_file_or_has_a_reason() -> None:
    assert not EXPANSIONS.keys() & INEXPRESSIBLE.keys()
    assert EXPANSIONS.keys() | INEXPRESSIBLE.keys() <= OPS.keys()
    assert all(INEXPRESSIBLE.values())
