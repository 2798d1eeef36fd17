"""The training recipe, on the synthetic bus and cut short: the way, not the figures."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx

from edgetrain.can.features import extract
from edgetrain.can.frames import Frames
from edgetrain.can.kinds import CLASSES
from edgetrain.can.synthetic import synthetic_bus
from edgetrain.can.table import METADATA_KEY, CanModel, fit_table
from edgetrain.compiler.errors import InputError
from edgetrain.train import TrainReport, can_ids, train
from edgetrain.train.can_ids import FUZZING, choose_threshold, split_by_time, training_set
from edgetrain.train.progress import silent

pytest.importorskip("torch", reason="training needs `pip install 'edgetrain[train]'`")


@pytest.fixture(scope="module")
def short() -> Iterator[None]:
    """Less of everything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(can_ids, "PASSES", (2, 3))
        patch.setattr(can_ids, "FLOAT_EPOCHS", 12)
        patch.setattr(can_ids, "QUANTISED_EPOCHS", 12)
        patch.setattr(can_ids, "TEST_PASSES", 2)
        patch.setattr(can_ids, "SYNTHETIC_SECONDS", 40.0)
        yield


@pytest.fixture(scope="module")
def trained(short: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainReport, Path]:
    path = tmp_path_factory.mktemp("train") / "model.onnx"
    return train("can-ids", [], path, seed=5), path


def test_it_learns_something(trained: tuple[TrainReport, Path]) -> None:
    report, _ = trained
    figures = report.result.quantised
    score, constant = figures.attacked.score, figures.attacked.baselines["always normal"]
    assert score.per_kind["dos"].recall > 0.9
    assert score.per_kind["fuzz"].recall > 0.5
    assert (score.accuracy or 0) > (constant.accuracy or 1)
    assert (figures.clean.score.false_positive_rate or 0) < 0.01


def test_same_seed_same_file(
    short: None, trained: tuple[TrainReport, Path], tmp_path: Path
) -> None:
    again = train("can-ids", [], tmp_path / "again.onnx", seed=5)
    assert (tmp_path / "again.onnx").read_bytes() == trained[1].read_bytes()
    assert again.model_sha256 == trained[0].model_sha256


def test_file_is_self_contained_and_says_nothing_of_its_maker(
    trained: tuple[TrainReport, Path],
) -> None:
    _, path = trained
    text = path.read_bytes()
    for trace in (b"site-packages", b".py", b"stack_trace", b"File ", str(Path.home()).encode()):
        assert trace not in text
    model = onnx.load(path, load_external_data=False)
    assert model.ir_version <= 13
    assert [prop.key for prop in model.metadata_props] == [METADATA_KEY]
    assert not any(init.data_location for init in model.graph.initializer)


def test_graph_is_integers_times_one_scale(trained: tuple[TrainReport, Path]) -> None:
    """Two-bit layers, an 8-bit last one without bias, binary inputs."""
    graph = onnx.load(trained[1]).graph
    constants = {init.name: numpy_helper.to_array(init) for init in graph.initializer}
    quants = [
        (int(constants[node.input[3]]), bool(attributes(node)["signed"]), constants[node.input[1]])
        for node in graph.node
        if node.op_type == "Quant"
    ]
    bits = sorted((bits, signed) for bits, signed, _ in quants)
    assert bits == [(1, False), (2, False), (2, False), (2, True), (2, True), (8, True)]
    assert all(scale.size == 1 for _, _, scale in quants)
    assert next(scale for bits, _, scale in quants if bits == 1) == 1.0
    gemms = [node for node in graph.node if node.op_type == "Gemm"]
    assert all(len(node.input) == 2 or not node.input[2] for node in gemms)
    assert gemms[-1].output[0] == graph.output[0].name
    assert {node.op_type for node in graph.node} == {"Quant", "Gemm", "BatchNormalization", "Relu"}


def attributes(node: onnx.NodeProto) -> dict[str, object]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def test_file_computes_what_was_trained(trained: tuple[TrainReport, Path]) -> None:
    from edgetrain.train import network

    report, path = trained
    model = ModelWrapper(str(path))
    features = np.random.default_rng(0).integers(0, 2, (50, 57), np.uint8)
    expected = network.outputs(report.result.network, features)
    step = network.output_scale(report.result.network)
    (name,) = (value.name for value in model.graph.input)
    for row, want in zip(features, expected, strict=True):
        outputs = execute_onnx(model, {name: row[None].astype(np.float32)})
        (got,) = outputs.values()
        # Within half a step both are the same integer times the scale.
        assert np.abs(got[0] - want).max() < step / 4


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    from edgetrain.train.export import write_model

    (tmp_path / "taken").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_model(onnx.ModelProto(), tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_metadata_travels_with_the_model(trained: tuple[TrainReport, Path]) -> None:
    report, path = trained
    (prop,) = onnx.load(path).metadata_props
    assert CanModel.parse(prop.value) == report.result.can
    assert report.result.can.table == fit_table(split_by_time([synthetic_bus(40.0)]).training)


def test_report_as_json(trained: tuple[TrainReport, Path]) -> None:
    data = json.loads(json.dumps(trained[0].to_json(), allow_nan=False))
    assert {"accuracy", "false_positive_rate", "per_class", "epochs"} <= set(data)
    assert data["epochs"] == 24
    assert data["recordings"] == []
    assert data["float"]["attacked"]["accuracy"] > 0.9


def test_split_is_by_time_and_leaves_attacks_out() -> None:
    frames = synthetic_bus(50.0, seed=2)
    kind = np.where(np.arange(len(frames)) % 10 == 0, 1, 0).astype(np.int16)
    split = split_by_time([Frames(**{**vars(frames), "kind": kind, "kinds": ("normal", "dos")})])
    parts = (split.training, split.validation, split.test)
    assert sum(map(len, parts)) == np.sum(kind == 0)
    assert [round(part.seconds or 0) for part in parts] == [30, 5, 15]
    assert all(not part.kind.any() for part in parts)


def test_training_set_holds_every_class_and_differs_by_seed(short: None) -> None:
    clean = synthetic_bus(25.0, seed=2)
    features, labels = training_set(clean, 1, silent)
    assert features.shape == (len(labels), 57)
    assert set(labels.tolist()) == {0, 1, 2, 3}
    again = training_set(clean, 1, silent)
    assert np.array_equal(features, again[0])
    assert len(training_set(clean, 2, silent)[1]) != len(labels)


def test_some_training_frames_are_of_identifiers_struck_from_the_table(short: None) -> None:
    """Unknown identifiers that repeat their payload appear, which the injector never makes."""
    features, labels = training_set(synthetic_bus(25.0, seed=2), 1, silent)
    unknown = features[:, 11] == 0
    assert (labels[unknown] > 0).all()
    assert (features[unknown & (labels == FUZZING), 17] == 0).any()


def test_half_of_the_training_floods_take_known_identifiers(short: None) -> None:
    features, labels = training_set(synthetic_bus(25.0, seed=2), 1, silent)
    flood = labels == CLASSES.index("dos")
    assert 0.2 < features[flood, 11].mean() < 1.0


def test_training_features_come_from_tables_of_other_frames(short: None) -> None:
    """Constant bits appear broken in normal training frames; by the final table they never do."""
    clean = synthetic_bus(25.0, seed=2)
    features, labels = training_set(clean, 1, silent)
    assert features[labels == 0, 12].any()
    assert not extract(clean, fit_table(clean))[:, 12].any()


def test_threshold_lets_as_many_through_as_the_rate_promises() -> None:
    margins = np.arange(50_000)
    outputs = np.stack([np.zeros(50_000), margins, margins - 5.0, margins - 9.0], axis=1)
    # (k + 1) / 50001 ≤ 1e-4 for k = 4: four alarms.
    threshold = choose_threshold(outputs * 0.25, 0.25)
    assert threshold == (50_000 - 5 + 0.5) * 0.25
    assert choose_threshold(outputs[:100], 1.0) == 99.5
    assert choose_threshold(outputs[:100] - [[200, 0, 0, 0]], 1.0) == 299.5
    assert choose_threshold(outputs[:100] - [[-200, 0, 0, 0]], 1.0) == -100.5


def test_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = synthetic_bus(10.0)
    with pytest.raises(InputError, match=r"10\.0 s"):
        split_by_time([frames])
    blind = Frames(**{**vars(frames), "timestamped": False, "t_us": frames.t_us * 0})
    with pytest.raises(InputError, match="timestamps"):
        split_by_time([blind])
    gone = (frames.t_us > 5.9e6) & (frames.t_us < 7.1e6)
    slow = Frames(**{**vars(frames[~gone]), "t_us": frames.t_us[~gone] * 3})
    with pytest.raises(InputError, match="silent"):
        split_by_time([slow])
    attacks = Frames(**{**vars(frames), "kind": frames.kind + 1, "kinds": ("normal", "dos")})
    with pytest.raises(InputError, match=r" 0\.0 s"):
        split_by_time([attacks])
    with pytest.raises(InputError, match="recipe"):
        train("cat-ids", [], tmp_path / "m.onnx")
    with pytest.raises(InputError, match="seed"):
        train("can-ids", [], tmp_path / "m.onnx", seed=-1)
    with pytest.raises(InputError, match="directory"):
        train("can-ids", [], tmp_path / "absent" / "m.onnx")
    with pytest.raises(InputError, match="is a directory"):
        train("can-ids", [], tmp_path)
    with pytest.raises(InputError, match=r"absent\.csv"):
        train("can-ids", [tmp_path / "absent.csv"], tmp_path / "m.onnx")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"edgetrain\[train\]"):
        train("can-ids", [], tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []
