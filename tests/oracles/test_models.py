"""Generators and evaluator against QONNX's executor and onnxruntime: every difference is judged."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper

from tests.oracles.exact import ExactModel
from tests.oracles.judge import QUANTISERS, Verdict, judge
from tests.oracles.models import GeneratedModel, random_float, random_qdq, random_qonnx

ROWS = 40


def qonnx_tensors(model: onnx.ModelProto, x: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Every tensor of QONNX's executor."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    wrapped = ModelWrapper(model).transform(InferShapes())
    tensors: dict[str, NDArray[Any]] = execute_onnx(
        wrapped, {"input": x}, return_full_exec_context=True
    )
    return tensors


def onnxruntime_tensors(model: onnx.ModelProto, x: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """The quantisers' integers and the output, each node run on its own (nothing fused)."""
    import onnxruntime

    model = onnx.ModelProto.FromString(model.SerializeToString())
    for node in model.graph.node:
        if node.op_type in QUANTISERS:
            model.graph.output.append(helper.make_empty_tensor_value_info(node.output[0]))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"input": x}), strict=True))


@pytest.mark.parametrize("seed", range(40))
def test_qonnx_executor_differs_by_its_own_rounding_only(seed: int) -> None:
    generated = random_qonnx(seed, batch=ROWS)
    x = generated.sample(ROWS)
    verdict = judge(generated.model, x, qonnx_tensors(generated.model, x))
    assert verdict.faults == []
    assert verdict.outputs


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("generate", [random_qdq, random_float])
def test_onnxruntime_differs_by_its_own_rounding_only(
    generate: Callable[[int], GeneratedModel], seed: int
) -> None:
    generated = generate(seed)
    onnx.checker.check_model(generated.model, full_check=True)
    x = generated.sample(ROWS // 2)
    verdict = judge(generated.model, x, onnxruntime_tensors(generated.model, x))
    assert verdict.faults == []
    assert verdict.outputs


def judged_with_one_wrong_decision(wrong: Callable[[dict[str, NDArray[Any]]], None]) -> Verdict:
    generated = random_qonnx(7, batch=ROWS)
    x = generated.sample(ROWS)
    tensors = {name: np.array(array) for name, array in qonnx_tensors(generated.model, x).items()}
    wrong(tensors)
    return judge(generated.model, x, tensors)


def test_the_judge_sees_a_wrong_decision() -> None:
    quantisers = [n for n in random_qonnx(7).model.graph.node if n.op_type == "Quant"]
    for node in quantisers:

        def wrong(tensors: dict[str, NDArray[Any]], node: onnx.NodeProto = node) -> None:
            tensors[node.output[0]].flat[0] += tensors[node.input[1]].flat[0]

        assert any(
            f.startswith(node.output[0]) for f in judged_with_one_wrong_decision(wrong).faults
        )


def test_the_judge_sees_a_wrong_output() -> None:
    output = random_qonnx(7).model.graph.output[0].name

    def wrong(tensors: dict[str, NDArray[Any]]) -> None:
        tensors[output].flat[0] *= 1.0001

    assert len(judged_with_one_wrong_decision(wrong).faults) == 1


def test_a_tenth_of_the_models_hit_ties_behind_a_layer() -> None:
    hit = 0
    for seed in range(0, 80, 4):
        generated = random_qonnx(seed)
        assert generated.has_ties
        ties = ExactModel(generated.model).run(generated.sample(ROWS)).ties
        behind = [name for name in ties if name not in input_quantisers(generated.model)]
        hit += any(ties[name] for name in behind)
    assert hit >= 8  # of 80 seeds


def input_quantisers(model: onnx.ModelProto) -> set[str]:
    source = model.graph.input[0].name
    return {node.output[0] for node in model.graph.node if source in node.input}


@pytest.mark.parametrize("generate", [random_qonnx, random_qdq, random_float])
def test_a_seed_is_a_file(generate: Callable[[int], GeneratedModel]) -> None:
    first, second, other = generate(3), generate(3), generate(4)
    assert first.model.SerializeToString() == second.model.SerializeToString()
    assert first.model.SerializeToString() != other.model.SerializeToString()
    assert np.array_equal(first.sample(5, seed=1), second.sample(5, seed=1))
    assert not np.array_equal(first.sample(5, seed=1), first.sample(5, seed=2))


def test_the_generator_reaches_every_kind() -> None:
    seen: Counter[str] = Counter()
    depths, widths = set(), set()
    for seed in range(200):
        model = random_qonnx(seed).model
        constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
        depths.add(sum(node.op_type in ("Gemm", "MatMul") for node in model.graph.node))
        widths.add(model.graph.input[0].type.tensor_type.shape.dim[1].dim_value)
        seen["annotated input"] += len(model.graph.quantization_annotation)
        for node in model.graph.node:
            seen[node.op_type] += 1
            if node.op_type == "Gemm" and len(node.input) == 2:
                seen["no bias"] += 1
            if node.op_type == "BatchNormalization":
                gamma = constants[node.input[1]]
                seen["negative gain"] += bool((gamma < 0).any())
                seen["zero gain"] += bool((gamma == 0).any())
            if node.op_type != "Quant":
                continue
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            role = "weight" if node.input[0] in constants else "activation"
            seen[f"{role} bits {int(constants[node.input[3]])}"] += 1
            seen[f"{role} signed {attributes['signed']} narrow {attributes['narrow']}"] += 1
            seen[f"{role} zero point"] += bool(constants[node.input[2]] != 0)
            seen[f"{role} per channel"] += constants[node.input[1]].size > 1
    assert depths == {1, 2, 3, 4, 5}
    assert min(widths) == 1
    assert max(widths) >= 125
    kinds = ["Gemm", "MatMul", "Add", "Relu", "BipolarQuant", "annotated input", "no bias"]
    kinds += ["negative gain", "zero gain", "weight per channel"]
    kinds += [f"{role} bits {b}" for role in ("weight", "activation") for b in range(1, 9)]
    kinds += [f"{role} zero point" for role in ("weight", "activation")]
    kinds += [f"weight signed 1 narrow {n}" for n in (0, 1)] + ["weight signed 0 narrow 0"]
    kinds += [f"activation signed {s} narrow {n}" for s in (0, 1) for n in (0, 1)]
    assert [kind for kind in kinds if seen[kind] < 5] == []
