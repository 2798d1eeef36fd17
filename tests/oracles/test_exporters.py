"""The generators write what the exporters write, and the evaluator reads what they wrote."""

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from tests.oracles.executors import onnxruntime_tensors, qonnx_tensors
from tests.oracles.judge import judge
from tests.oracles.models import random_float, random_qdq, random_qonnx
from tests.support import absent

Signature = tuple[str, str, tuple[str, ...]]


def signatures(model: onnx.ModelProto) -> set[Signature]:
    """Domain, operator and attributes of every node."""
    return {
        (node.domain, node.op_type, tuple(sorted(a.name for a in node.attribute)))
        for node in model.graph.node
    }


def brevitas_export(path: Path, batch: int) -> onnx.ModelProto:
    """A network of the kind that the generator imitates, straight from the exporter."""
    try:
        import torch
        from brevitas import nn as qnn
        from brevitas.export import export_qonnx
        from brevitas.quant import SignedBinaryWeightPerTensorConst
        from brevitas.quant.shifted_scaled_int import ShiftedUint8ActPerTensorFloat
    except ImportError:
        absent("brevitas not installed; pip install 'edgetrain[train]'")
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        qnn.QuantIdentity(act_quant=ShiftedUint8ActPerTensorFloat, bit_width=4),
        qnn.QuantLinear(5, 6, bias=True, weight_bit_width=3),
        torch.nn.BatchNorm1d(6),
        qnn.QuantReLU(bit_width=2),
        qnn.QuantLinear(6, 4, bias=False, weight_quant=SignedBinaryWeightPerTensorConst),
        qnn.QuantIdentity(bit_width=4),
        qnn.QuantLinear(4, 3, bias=True, weight_bit_width=8),
    )
    for _ in range(3):
        model(torch.randn(32, 5))
    export_qonnx(model.eval(), torch.randn(batch, 5), export_path=str(path))
    return onnx.load(path)


def test_brevitas_export_is_of_the_generators_kind(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = brevitas_export(tmp_path / "model.onnx", batch=20)
    imitation = [random_qonnx(seed).model for seed in range(30)]
    assert signatures(model) <= set().union(*map(signatures, imitation))
    assert list(model.opset_import) == list(imitation[0].opset_import)
    assert model.ir_version == imitation[0].ir_version
    constants = {t.name for t in model.graph.initializer}
    assert constants < {value.name for value in model.graph.input}
    x = np.random.default_rng(0).normal(0, 1, (20, 5)).astype(np.float32)
    tensors = qonnx_tensors(model, x)
    verdict = judge(model, x, {**tensors, "input": x})
    assert verdict.faults == []
    assert verdict.decisions > 20 * (5 + 6 + 4)


class Calibration:
    """onnxruntime's protocol of a reader of calibration data."""

    def __init__(self, x: NDArray[np.float32]) -> None:
        self._rows = iter([{"input": x}])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._rows, None)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Part of the protocol; all rows are given at once."""


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("symmetric", [False, True])
def test_quantize_static_output_is_of_the_generators_kind(
    per_channel: bool, symmetric: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    generated = next(
        g
        for g in map(random_float, range(100))
        if {n.op_type for n in g.model.graph.node} == {"Gemm", "Relu"}
    )
    x = generated.sample(50)
    onnx.save(generated.model, tmp_path / "float.onnx")
    with caplog.at_level(logging.ERROR):
        quantize_static(
            tmp_path / "float.onnx",
            tmp_path / "qdq.onnx",
            Calibration(x),
            quant_format=QuantFormat.QDQ,
            per_channel=per_channel,
            activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"ActivationSymmetric": symmetric},
        )
    model = onnx.load(tmp_path / "qdq.onnx")
    imitation = [random_qdq(seed).model for seed in range(30)]
    assert signatures(model) <= set().union(*map(signatures, imitation)) | signatures(
        generated.model
    )
    verdict = judge(model, x, onnxruntime_tensors(model, x))
    assert verdict.faults == []
    assert verdict.decisions
