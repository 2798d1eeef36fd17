"""Quantised networks as standard ONNX files: every integer that the device gives."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgetrain.pipeline import MODEL_FILE, compile_model, write_project
from edgetrain.workloads import find_model
from tests.oracles.models import GeneratedModel, random_float, random_qdq, random_qonnx
from tests.oracles.onnxruntime_runs import Runtime

ROWS = 50


def check(model: Path, x: np.ndarray, directory: Path) -> None:
    program = compile_model(model)
    write_project(program, directory, with_image=False)
    content = (directory / MODEL_FILE).read_bytes()
    onnx.checker.check_model(content, full_check=True)
    runtime = Runtime(content)
    expected = program.simulator().infer(x, raw=True)
    for codes, right in zip(program.input_code.encode(x), expected, strict=True):
        found = runtime.run({"x": codes})["y"]
        if right.dtype.kind == "f":
            # Up to 130 terms a sum, of order 1 to 10.
            np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-4)
        else:
            np.testing.assert_array_equal(found, right)


def test_the_shipped_model(tmp_path: Path) -> None:
    model = Path(find_model("can-ids-w2a2"))
    features = compile_model(model).input_code.type.size
    x = np.random.default_rng(0).integers(0, 2, (200, features)).astype(np.float32)
    check(model, x, tmp_path / "out")


@pytest.mark.parametrize("make", [random_qonnx, random_qdq, random_float])
@pytest.mark.parametrize("seed", range(4))
def test_random_models(make: Callable[[int], GeneratedModel], seed: int, tmp_path: Path) -> None:
    generated = make(seed)
    path = tmp_path / "m.onnx"
    path.write_bytes(generated.model.SerializeToString())
    check(path, generated.sample(ROWS), tmp_path / "out")
