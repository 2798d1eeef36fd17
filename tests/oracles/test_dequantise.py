"""Quantised models as float networks: other executors on the file without its activation
quantisers, and learning."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.onnx_io.load import import_model
from edgetrain.compiler.rules import Learning
from edgetrain.pipeline import compile_model
from edgetrain.project import compile_project
from edgetrain.workloads import find_model
from tests.oracles.executors import onnxruntime_tensors, qonnx_tensors
from tests.oracles.hostile import hostile_models
from tests.oracles.judge import QUANTISERS
from tests.oracles.models import GeneratedModel, random_float, random_qdq, random_qonnx
from tests.training.models import random_layers, write_mlp

SEEDS = 24


def without_activation_quantisers(model: onnx.ModelProto) -> onnx.ModelProto:
    """A quantiser of an activation becomes a Relu where its least number is zero, else nothing.
    Raises ValueError for one that keeps a sign only."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    fixed = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    known = set(fixed)
    nodes = []
    for node in model.graph.node:
        if all(name in known for name in node.input):
            known.update(node.output)
        elif node.op_type in QUANTISERS or node.op_type == "DequantizeLinear":
            hidden = node.input[0] != "input" and node.op_type in QUANTISERS
            kind = "Relu" if hidden and cuts_at_zero(node, fixed) else "Identity"
            node = helper.make_node(kind, [node.input[0]], node.output)
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def cuts_at_zero(node: onnx.NodeProto, fixed: dict[str, NDArray[Any]]) -> bool:
    if node.op_type == "QuantizeLinear":
        zero = fixed[node.input[2]]
        return bool(zero == np.iinfo(zero.dtype).min)
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    bits = int(fixed[node.input[3]]) if node.op_type == "Quant" else 1
    if node.op_type == "BipolarQuant" or (given["signed"] and bits == 1):
        raise ValueError("a sign")
    lowest = -(2 ** (bits - 1)) + given["narrow"] if given["signed"] else 0
    at_zero = bool(fixed[node.input[2]] == lowest)
    if bits == 1 and not at_zero:
        raise ValueError("a sign")
    return at_zero


def evaluate(generated: GeneratedModel, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """By QONNX, or by onnxruntime for what has no operator of QONNX."""
    model = without_activation_quantisers(generated.model)
    qonnx = any(node.domain for node in model.graph.node)
    tensors = (qonnx_tensors if qonnx else onnxruntime_tensors)(model, x)
    result: NDArray[np.float32] = tensors[model.graph.output[0].name]
    return result


@pytest.mark.parametrize("make", [random_qonnx, random_qdq])
def test_it_is_the_network_without_activation_quantisers(
    make: Callable[[int], GeneratedModel], tmp_path: Path
) -> None:
    compared = 0
    for seed in range(SEEDS):
        generated = make(seed)
        path = tmp_path / f"{seed}.onnx"
        path.write_bytes(generated.model.SerializeToString())
        x = generated.sample(200)
        try:
            expected = evaluate(generated, x)
        except ValueError:
            with pytest.raises(InputError, match="sign"):
                import_model(path, dequantise=True)
            continue
        program = compile_model(path, dequantise=True)
        found = program.simulator().infer(x)
        # Sums of up to 130 terms, each rounded to 2^-24, over up to five layers.
        scale = np.abs(expected).max() + 1e-6
        np.testing.assert_allclose(found, expected, atol=1e-5 * scale, rtol=1e-5, err_msg=str(seed))
        compared += 1
    assert compared > SEEDS // 3


def test_the_shipped_detector_learns(tmp_path: Path) -> None:
    how = Learning(rate=0.05)
    program = compile_model(find_model("can-ids-w2a2"), learn="sgd", how=how, dequantise=True)
    assert [entry.name for entry in program.entries] == ["infer", "train_step"]
    assert set(program.simulator().state) == {"w0", "b0", "w1", "b1", "w2"}
    simulator = program.simulator()
    rng = np.random.default_rng(1)
    x = rng.integers(0, 2, (6, program.input_code.type.size)).astype(np.float32)
    labels = rng.integers(0, program.output_code.type.size, 6)
    losses = [
        [simulator.train_step(row, label) for row, label in zip(x, labels, strict=True)]
        for _ in range(30)
    ]
    assert np.mean(losses[-1]) < np.mean(losses[0]) / 2


def test_the_detector_as_floats_decides_much_as_it_did() -> None:
    """Rounding activations to two bits is no small change, but most decisions survive it."""
    model = find_model("can-ids-w2a2")
    x = np.random.default_rng(2).integers(0, 2, (2000, 57)).astype(np.float32)
    decisions = [
        compile_model(model, dequantise=flag).simulator().infer(x).argmax(axis=1)
        for flag in (False, True)
    ]
    assert np.mean(decisions[0] == decisions[1]) > 0.8


def test_hostile_files_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    for _, data, _ in hostile_models():
        path.write_bytes(data)
        with contextlib.suppress(InputError):
            import_model(path, dequantise=True)


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--dequantise"):
        compile_project("can-ids-w2a2", learn="sgd", precision="fp32")
    path = write_mlp(tmp_path / "float.onnx", *random_layers((3, 2), seed=1))
    with pytest.raises(InputError, match="not quantised"):
        compile_project(path, dequantise=True)
    generated = random_float(1)
    path.write_bytes(generated.model.SerializeToString())
    with pytest.raises(InputError, match="not quantised"):
        import_model(path, dequantise=True)
