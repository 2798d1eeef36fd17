"""Import and simulation against the exact meaning of the model files, integer by integer.

On the same inputs QONNX's executor and onnxruntime, which compute in float32, are judged: each
difference must be their own rounding.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from edgetrain.compiler.graph import Graph
from edgetrain.compiler.kernel import Target
from edgetrain.compiler.onnx_io.load import ImportedModel, import_model
from edgetrain.compiler.passes import run_passes
from edgetrain.compiler.plan import plan
from edgetrain.simulator import Simulator
from tests.oracles.exact import ExactModel, ExactResult
from tests.oracles.executors import onnxruntime_tensors, qonnx_tensors
from tests.oracles.judge import QUANTISERS, judge
from tests.oracles.models import GeneratedModel, random_float, random_qdq, random_qonnx

ROWS = 200
CUTTERS = ("threshold", "requantise")
Tensors = dict[str, NDArray[Any]]


def imported(model: onnx.ModelProto, directory: Path) -> ImportedModel:
    path = directory / "model.onnx"
    onnx.save(model, path)
    return import_model(path)


def simulator(model: ImportedModel, graph: Graph) -> Simulator:
    """Of a graph of `model` that also gives the integers between layers."""
    between = tuple(node.outputs[0] for node in graph.nodes if node.op in CUTTERS)
    outputs = (*graph.outputs, *(value for value in between if value not in graph.outputs))
    names = (*graph.output_names, *(v.name for v in outputs[len(graph.outputs) :]))
    graph = replace(graph, outputs=outputs, output_names=names)
    target = Target("host", frozenset())
    return Simulator(plan([graph], target, model.input_code, model.output_code, {}))


def levels(model: onnx.ModelProto, result: ExactResult) -> list[NDArray[np.int64]]:
    """The integers of the quantisers between layers as the device counts them, in order."""
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    found = []
    for node in model.graph.node:
        if node.output[0] not in result.quantised:
            continue
        if node.input[0] == model.graph.input[0].name:
            continue
        integers = result.quantised[node.output[0]]
        signed = next((a.i for a in node.attribute if a.name == "signed"), 0)
        one_bit = node.op_type == "Quant" and signed and constants[node.input[3]] == 1
        # One bit counts 0 and 1 for −1 and +1.
        bipolar = node.op_type == "BipolarQuant" or one_bit
        found.append((integers + 1) // 2 if bipolar else integers)
    return found


def assert_exact(
    generated: GeneratedModel, result: ExactResult, x: NDArray[np.float32], directory: Path
) -> None:
    model = imported(generated.model, directory)
    expected = levels(generated.model, result)
    for graph in (model.graph, run_passes(model.graph)):
        device = simulator(model, graph)
        cutters = [node for node in graph.nodes if node.op in CUTTERS]
        y, *rest = device.run_batch("infer", model.input_code.encode(x))
        if graph.outputs[0] in (node.outputs[0] for node in cutters):
            rest.append(y)
        assert len(rest) == len(expected)
        for layer, (codes, integers) in enumerate(zip(rest, expected, strict=True)):
            assert np.array_equal(codes, integers), f"{generated.name}: quantiser {layer}"
        output = model.output_code.decode(y)
        assert np.array_equal(output.view(np.uint32), result.output_float32.view(np.uint32))
        for node in graph.nodes:
            for value in (*node.inputs, *node.outputs):
                assert not value.type.scalar.name.startswith("FLOAT")


def judged(
    generate: Callable[[int], GeneratedModel],
    execute: Callable[[onnx.ModelProto, NDArray[np.float32]], Tensors],
    seed: int,
    directory: Path,
    report: Callable[[str, object], None],
) -> None:
    generated = generate(seed)
    x = generated.sample(ROWS, seed)
    exact = ExactModel(generated.model)
    result = exact.run(x)
    assert_exact(generated, result, x, directory)
    verdict = judge(generated.model, x, execute(generated.model, x), (exact, result))
    assert verdict.faults == []
    assert verdict.decisions
    assert verdict.outputs
    report(f"{generated.name}: decisions", verdict.decisions)
    report(
        f"{generated.name}: decisions that are the executor's own rounding", verdict.own_rounding
    )
    report(f"{generated.name}: outputs", verdict.outputs)
    report(f"{generated.name}: outputs not correctly rounded", verdict.inexact_outputs)


@pytest.mark.one_in(4)
@pytest.mark.parametrize("chunk", range(40))
def test_qonnx_models(
    chunk: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    def generate(seed: int) -> GeneratedModel:
        return random_qonnx(seed, batch=ROWS)

    for seed in range(5 * chunk, 5 * chunk + 5):
        judged(generate, qonnx_tensors, seed, tmp_path, record_property)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("chunk", range(10))
def test_qdq_models(
    chunk: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    for seed in range(5 * chunk, 5 * chunk + 5):
        judged(random_qdq, onnxruntime_tensors, seed, tmp_path, record_property)


@pytest.mark.parametrize("chunk", range(5))
def test_float_models_and_onnxruntime_stay_within_the_bound(chunk: int, tmp_path: Path) -> None:
    for seed in range(10 * chunk, 10 * chunk + 10):
        generated = random_float(seed)
        assert not any(node.op_type in QUANTISERS for node in generated.model.graph.node)
        x = generated.sample(ROWS // 4, seed)
        model = imported(generated.model, tmp_path)
        y = simulator(model, run_passes(model.graph)).infer(x)
        output = generated.model.graph.output[0].name
        for tensors in ({output: y}, onnxruntime_tensors(generated.model, x)):
            verdict = judge(generated.model, x, tensors)
            assert verdict.faults == []
            assert verdict.outputs == y.size
