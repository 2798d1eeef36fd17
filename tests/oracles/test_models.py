"""What the generators of models reach, and that the judge of executors sees what is wrong."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper

from tests.oracles.exact import ExactModel
from tests.oracles.executors import qonnx_tensors
from tests.oracles.judge import Verdict, judge
from tests.oracles.models import GeneratedModel, random_float, random_qdq, random_qonnx

ROWS = 40


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
