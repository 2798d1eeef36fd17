"""The shipped detector is what its card says."""

import hashlib
import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgetrain.can.readers import read
from edgetrain.can.table import CanModel, fit_table, read_can_model
from edgetrain.evaluate import Evaluation, evaluate
from edgetrain.pipeline import compile_model
from edgetrain.train.can_ids import Split, attacked_copies, split_by_time
from edgetrain.workloads import find_model

MODEL = find_model("can-ids-w2a2")
CARD = MODEL.with_suffix(".md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def can() -> CanModel:
    metadata = {prop.key: prop.value for prop in onnx.load(MODEL).metadata_props}
    model = read_can_model(metadata)
    assert model is not None
    return model


@pytest.fixture(scope="module")
def split(data_dir: Path) -> Split:
    return split_by_time([read(data_dir / "can/volvo-v40-daga/clean.csv.xz").frames])


@pytest.fixture(scope="module")
def attacked(can: CanModel, split: Split) -> Evaluation:
    simulator = compile_model(MODEL).simulator()
    return evaluate(simulator.infer, can, attacked_copies(split.test))


def test_file_is_the_one_described() -> None:
    digest = hashlib.sha256(MODEL.read_bytes()).hexdigest()
    assert f"{digest[:8]}…{digest[-9:]}" in CARD
    assert f"{MODEL.stat().st_size:,} bytes" in CARD


def test_table_was_fitted_on_the_first_minute(can: CanModel, split: Split) -> None:
    assert can.table == fit_table(split.training)
    assert f"{len(can.table)} identifiers" in CARD
    assert f"alarm threshold {can.alarm_threshold:.3f}" in CARD


def test_threshold_lets_no_frame_of_the_next_ten_seconds_through(
    can: CanModel, split: Split
) -> None:
    simulator = compile_model(MODEL).simulator()
    result = evaluate(simulator.infer, can, [split.validation])
    assert result.score.alarms == 0


def test_figures_on_clean_traffic(can: CanModel, split: Split) -> None:
    simulator = compile_model(MODEL).simulator()
    result = evaluate(simulator.infer, can, [split.test])
    score, hand = result.score, result.baselines["hand rule"]
    assert f"{score.false_alarms} false alarms in\n{score.clean_seconds:.0f} s" in CARD
    assert score.debounced_false_alarms == 0
    assert f"The hand rule: {hand.false_alarms} and {hand.debounced_false_alarms} in" in CARD


def test_figures_under_attack(attacked: Evaluation) -> None:
    score, hand = attacked.score, attacked.baselines["hand rule"]
    rows = re.findall(r"^\| ([\w-]+) \| (\w+) \| ([\d,]+) \|(.*)\|$", CARD, re.MULTILINE)
    assert [row[0] for row in rows] == list(score.per_kind)
    for name, class_name, frames, rest in rows:
        kind = score.per_kind[name]
        shares = (kind.recall, kind.class_recall, hand.per_kind[name].recall)
        assert (class_name, frames) == (kind.class_name, f"{kind.frames:,}")
        assert [cell.strip() for cell in rest.split("|")] == [f"{100 * s:.1f} %" for s in shares]
    accuracies = (score, attacked.baselines["always normal"], hand)
    said = re.search(r"Accuracy ([\d.]+) %.*: ([\d.]+) %.*: ([\d.]+) %", CARD)
    assert said is not None
    assert list(said.groups()) == [f"{100 * (s.accuracy or 0):.2f}" for s in accuracies]


def test_an_unknown_identifier_is_an_alarm_whatever_it_sends(can: CanModel) -> None:
    simulator = compile_model(MODEL).simulator()
    features = np.zeros((2**11, 57), np.uint8)
    # Steady period, constant payload: nothing odd but the name.
    features[:, 33:40] = features[:, 45:52] = 1
    features[:, :11] = np.arange(2**11)[:, None] >> np.arange(10, -1, -1) & 1
    outputs = simulator.infer(features.astype(np.float32))
    margin = outputs[:, 1:].max(axis=1) - outputs[:, 0]
    assert np.mean(margin >= can.alarm_threshold) > 0.9
