"""Every step between two quantisers, under every rounding mode, against exact reals."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.onnx_io.exact import ROUNDING_MODES
from tests.compiler.test_importer_exact import assert_exact, imported
from tests.oracles.builder import QONNX, GraphBuilder
from tests.oracles.exact import ExactModel
from tests.oracles.generated import GeneratedModel, InputRange

CHANNELS = 6
Write = Callable[[GraphBuilder, str], str]


def constant(graph: GraphBuilder, value: Any) -> str:
    return graph.constant("c", np.asarray(value, np.float32))


def quant(graph: GraphBuilder, x: str, scale: Any, zero: float, bits: int, mode: str) -> str:
    inputs = [x, *(constant(graph, v) for v in (scale, zero, bits))]
    return graph.node("Quant", inputs, "q", QONNX, rounding_mode=mode, signed=1, narrow=0)


def binary(op: str, value: Any, turned: bool = False) -> Write:
    def write(graph: GraphBuilder, x: str) -> str:
        operands = [x, constant(graph, value)]
        return graph.node(op, operands[::-1] if turned else operands, "y")

    return write


def batch_norm(gamma: Any, variance: Any, epsilon: float = 2.0**-10) -> Write:
    def write(graph: GraphBuilder, x: str) -> str:
        ones = np.ones(CHANNELS)
        parameters = [gamma * ones, 0.375 * ones, -0.8 * ones, variance * ones]
        inputs = [x, *(constant(graph, p) for p in parameters)]
        return graph.node("BatchNormalization", inputs, "bn", epsilon=epsilon)

    return write


def clip(lo: float | None, hi: float | None) -> Write:
    def write(graph: GraphBuilder, x: str) -> str:
        limits = ["" if limit is None else constant(graph, limit) for limit in (lo, hi)]
        return graph.node("Clip", [x, *limits], "y")

    return write


def leaky(slope: float) -> Write:
    return lambda graph, x: graph.node("LeakyRelu", [x], "y", alpha=slope)


def relu(graph: GraphBuilder, x: str) -> str:
    return graph.node("Relu", [x], "relu")


def chain(*steps: Write) -> Write:
    def write(graph: GraphBuilder, x: str) -> str:
        for step in steps:
            x = step(graph, x)
        return x

    return write


SIGNS = np.array([1, -1, 0.3, -0.3, 0, 1.7])
STEPS: dict[str, Write] = {
    "nothing": chain(),
    "relu": relu,
    "clip": clip(-1.25, 1.5),
    "clip on ties": clip(-1.125, 0.625),
    "clip above": clip(None, 0.7),
    "clip to a point": clip(0.5, 0.5),
    "leaky": leaky(0.125),
    "steep leaky": leaky(3.0),
    "leaky that falls": chain(binary("Mul", -0.75), leaky(0.3)),
    "falls, leaks, falls": chain(binary("Mul", -0.75), leaky(0.3), binary("Mul", -1)),
    "leaks twice": chain(leaky(0.5), binary("Add", 0.6), leaky(0.25)),
    "leaks and is clipped": chain(leaky(0.5), clip(-0.3, 0.9), leaky(0.1)),
    "clipped and falls": chain(clip(-0.9, None), binary("Sub", 0.25, turned=True)),
    "sub": binary("Sub", SIGNS),
    "sub from": binary("Sub", SIGNS, turned=True),
    "mul by channel": binary("Mul", SIGNS),
    "div": binary("Div", [2, -4, 0.3, -0.5, 1e3, -1e-3]),
    "batch norm": batch_norm(SIGNS, 0.7),
    "batch norm and relu": chain(batch_norm(SIGNS, [0.7, 3, 0.01, 0, 5, 1]), relu),
    "batch norm with a rational root": chain(batch_norm(SIGNS, 4 - 2.0**-10), relu),
    "batch norm and leaky": chain(batch_norm(SIGNS, 0.7), binary("Sub", 0.1), leaky(0.2)),
    "batch norm twice with one variance": chain(batch_norm(1.5, 0.7), batch_norm(SIGNS, 0.7)),
    "batch norm twice, once rational": chain(batch_norm(1.5, 4 - 2.0**-10), batch_norm(SIGNS, 0.7)),
}


def model(write: Write, mode: str, zero: float) -> onnx.ModelProto:
    """Two inputs on a grid of 1/4, products with halves, `write`, and a quantiser of 3 bits."""
    graph = GraphBuilder()
    x = quant(graph, graph.name("input"), 0.25, 0, 4, "ROUND")
    weights = constant(graph, np.array([[0.5, 1.0]] * CHANNELS).T)
    w = quant(graph, weights, 0.5, 0, 4, "ROUND")
    y = write(graph, graph.node("MatMul", [x, w], "matmul"))
    y = quant(graph, y, np.array([[0.25, 0.5, 0.3, 0.25, 0.5, 0.125]]), zero, 3, mode)
    return graph.model(("input", 2), (y, CHANNELS), batch="N", opset=20)


@pytest.mark.parametrize("zero", [0, -1, 0.5])
@pytest.mark.parametrize("steps", STEPS)
def test_a_step_is_exact_under_every_rounding_mode(steps: str, zero: float, tmp_path: Path) -> None:
    grid = np.arange(-9, 10) / 4
    x = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2).astype(np.float32)
    for mode in ROUNDING_MODES:
        file = model(STEPS[steps], mode, zero)
        generated = GeneratedModel(mode, file, True, InputRange(2, 0.25, -9, 9, True))
        assert_exact(generated, ExactModel(file).run(x), x, tmp_path)


@pytest.mark.parametrize("mode", ROUNDING_MODES)
def test_constants_are_rounded_exactly(mode: str, tmp_path: Path) -> None:
    graph = GraphBuilder()
    x = quant(graph, graph.name("input"), 0.25, 0, 4, "ROUND")
    ties = np.arange(-24, 24).reshape(2, 24) / 8 + np.array([[0], [2.0**-20]])
    w = quant(graph, constant(graph, ties), np.full((1, 24), 0.25), 1, 4, mode)
    y = graph.node("MatMul", [x, w], "y")
    file = graph.model(("input", 2), (y, 24), batch="N", opset=20)
    rows = np.array([[1, 0], [0, 1], [1.75, -2], [0.25, 0.25]], np.float32)
    generated = GeneratedModel(mode, file, True, InputRange(2, 0.25, -9, 9, True))
    assert_exact(generated, ExactModel(file).run(rows), rows, tmp_path)


def test_roots_of_two_variances_are_refused(tmp_path: Path) -> None:
    write = chain(batch_norm(1.5, 0.7), batch_norm(SIGNS, 0.9))
    with pytest.raises(InputError, match="two batch norms"):
        imported(model(write, "ROUND", 0), tmp_path)


def test_a_division_by_zero_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="divides by zero"):
        imported(model(binary("Div", [1, 2, 3, 0, 5, 6]), "ROUND", 0), tmp_path)
