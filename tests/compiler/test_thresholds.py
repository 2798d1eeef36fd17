"""QONNX's MultiThreshold: levels that lie anywhere, counted as the file says."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgetrain.compiler.errors import InputError
from edgetrain.networks import threshold_mlp
from edgetrain.pipeline import compile_model
from edgetrain.workloads import THRESHOLDS, all_workloads, find_network, model_file


def network(seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    weights = [rng.integers(-3, 4, shape).astype(np.int8) for shape in ((9, 7), (7, 4))]
    return weights, [np.sort(rng.integers(-12, 12, (7, 5)), axis=1).astype(np.int32)]


def written(path: Path, model: onnx.ModelProto, **attributes: float) -> Path:
    (node,) = (n for n in model.graph.node if n.op_type == "MultiThreshold")
    for name, value in attributes.items():
        node.attribute.append(onnx.helper.make_attribute(name, value))
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("scale", "bias"), [(1.0, 0.0), (1.0, -2.0), (2.0, -5.0), (0.5, 3.0)])
def test_levels_are_counted(seed: int, scale: float, bias: float, tmp_path: Path) -> None:
    weights, thresholds = network(seed)
    model = threshold_mlp(weights, thresholds, 3)
    program = compile_model(written(tmp_path / "m.onnx", model, out_scale=scale, out_bias=bias))
    x = np.random.default_rng(seed).integers(0, 8, (50, 9))
    sums = x @ weights[0].astype(np.int64)
    levels = (sums[:, :, None] >= thresholds[0]).sum(axis=2) * scale + bias
    expected = levels @ weights[1].astype(np.float64)
    np.testing.assert_array_equal(program.simulator().infer(x.astype(np.float32)), expected)


def test_what_makes_no_levels_is_refused(tmp_path: Path) -> None:
    weights, thresholds = network(0)
    path = tmp_path / "m.onnx"
    falling = threshold_mlp(weights, [thresholds[0][:, ::-1]], 3)
    with pytest.raises(InputError, match="do not ascend"):
        compile_model(written(path, falling))
    with pytest.raises(InputError, match=r"has the shape \(3, 5\)"):
        compile_model(written(path, threshold_mlp(weights, [thresholds[0][:3]], 3)))
    sound = threshold_mlp(weights, thresholds, 3)
    with pytest.raises(InputError, match="not positive"):
        compile_model(written(path, sound, out_scale=-1.0))
    sound = threshold_mlp(weights, thresholds, 3)
    with pytest.raises(InputError, match="is not supported"):
        compile_model(written(path, sound), learn="sgd")


@pytest.mark.parametrize("name", THRESHOLDS)
def test_the_workloads_give_their_own_outputs(name: str, data_dir: Path) -> None:
    held = np.load(data_dir / "workloads" / f"{name}.npz")
    assert name in {workload.name for workload in all_workloads()}
    assert find_network(name) is None
    with model_file(name) as path:
        found = compile_model(path).simulator().infer(held["x"].astype(np.float32), raw=True)
    np.testing.assert_array_equal(found, held["y"])


def test_the_workloads_without_their_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGETRAIN_DATA", str(tmp_path))
    with (
        pytest.raises(InputError, match="no such data; set EDGETRAIN_DATA"),
        model_file(next(iter(THRESHOLDS))),
    ):
        pass
