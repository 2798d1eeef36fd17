"""The shipped detector against the exact meaning of its file, on random and on real inputs."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgetrain.can.features import COUNT, extract
from edgetrain.can.inject import inject
from edgetrain.can.readers import read
from edgetrain.can.table import read_can_model
from edgetrain.compiler.onnx_io.load import import_model
from edgetrain.pipeline import Program, compile_model
from edgetrain.workloads import find_model
from tests.oracles.exact import ExactModel
from tests.oracles.judge import judge

ROWS = 100_000
TEST_SECONDS = (70.0, 100.0)


@pytest.fixture(scope="module")
def model() -> Path:
    return Path(find_model("can-ids-w2a2"))


@pytest.fixture(scope="module")
def program(model: Path) -> Program:
    return compile_model(model)


def check(program: Program, model: Path, x: np.ndarray) -> None:
    """Every integer between layers, every output bit and every argmax are the exact ones."""
    exact = ExactModel(str(model)).run(x)
    simulator = program.simulator()
    outputs = simulator.infer(x)
    assert np.array_equal(outputs.view(np.uint32), exact.output_float32.view(np.uint32))
    assert np.array_equal(simulator.infer(x, raw=True).argmax(axis=1), exact.argmax)


def test_random_inputs(program: Program, model: Path) -> None:
    x = np.random.default_rng(0).integers(0, 2, (ROWS, COUNT)).astype(np.float32)
    check(program, model, x)


def test_all_real_test_frames(program: Program, model: Path, data_dir: Path) -> None:
    can = read_can_model(import_model(model).metadata)
    assert can is not None
    folder = data_dir / "can" / "volvo-v40-daga"
    rows = [
        extract(read(path).frames.between(*TEST_SECONDS), can.table)
        for path in sorted(folder.glob("*.csv.xz"))
    ]
    clean = read(folder / "clean.csv.xz").frames.between(*TEST_SECONDS)
    rows.append(extract(inject(clean, seed=0), can.table))
    features = np.concatenate(rows)
    assert len(features) > 600_000
    # Distinct rows only: the network has no state, so that a row seen once is seen for ever.
    check(program, model, np.unique(features, axis=0).astype(np.float32))


def test_every_difference_from_qonnx_is_its_own_rounding(model: Path) -> None:
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx

    wrapper = ModelWrapper(onnx.load(str(model)))
    source = wrapper.graph.input[0].name
    (batch, _) = wrapper.get_tensor_shape(source)
    rng = np.random.default_rng(1)
    for _ in range(max(1, 32 // batch)):
        x = rng.integers(0, 2, (batch, COUNT)).astype(np.float32)
        tensors = execute_onnx(wrapper, {source: x}, return_full_exec_context=True)
        verdict = judge(wrapper.model, x, tensors)
        assert verdict.decisions > 0
        assert not verdict.faults
