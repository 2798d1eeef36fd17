"""Evaluation, against figures worked out by hand."""

import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from edgetrain.can.features import extract
from edgetrain.can.frames import Frames
from edgetrain.can.inject import inject
from edgetrain.can.kinds import CLASSES
from edgetrain.can.synthetic import synthetic_bus
from edgetrain.can.table import CanModel, fit_table
from edgetrain.compiler.errors import InputError
from edgetrain.evaluate import decide, evaluate, hand_rule, judge

KINDS = ("normal", "flood", "fuzz", "replay")


def log(times_ms: list[float], kinds: list[int], *, timestamped: bool = True) -> Frames:
    n = len(kinds)
    return Frames(
        t_us=np.array(np.array(times_ms) * 1000 * timestamped, np.int64),
        timestamped=timestamped,
        id=np.zeros(n, np.uint32),
        extended=np.zeros(n, np.bool_),
        fd=np.zeros(n, np.bool_),
        dlc=np.zeros(n, np.uint8),
        data=np.zeros((n, 8), np.uint8),
        kind=np.array(kinds, np.int16),
        kinds=KINDS,
    )


def verdicts(*classes: int) -> NDArray[np.intp]:
    return np.array(classes, np.intp)


def test_decide_compares_the_margin_with_the_threshold() -> None:
    outputs = np.array([[1.0, 3, 2, 0], [1, 2.99, 0, 0], [0, 1, 2, 2], [5, 0, 0, 6.9]])
    assert decide(outputs, 2.0).tolist() == [1, 0, 2, 0]
    assert decide(outputs, -10.0).tolist() == [1, 1, 2, 3]


def test_decide_does_not_wrap_integers() -> None:
    outputs = np.array([[-128, 127], [127, -128]], np.int8)
    assert decide(outputs, 255).tolist() == [1, 0]


def test_judge_by_hand() -> None:
    #                 N  N  flood flood fuzz  N    fuzz  N    N
    times = [0.0, 50.0, 100.0, 101.0, 300.0, 450.0, 2000.0, 2050.0, 2160.0]
    kinds = [0, 0, 1, 1, 2, 0, 2, 0, 0]
    given = verdicts(2, 0, 0, 1, 3, 0, 0, 1, 1)
    score = judge([log(times, kinds)], [given], CLASSES)
    assert score.frames == 9
    assert score.accuracy == pytest.approx(3 / 9)
    assert score.false_positive_rate == pytest.approx(3 / 5)
    assert (score.alarms, score.false_alarms) == (5, 3)
    # Alarms at 0, 101, 300, 2050 and 2160 ms: none within 100 ms of the one before.
    assert (score.debounced_alarms, score.debounced_false_alarms) == (0, 0)
    assert score.clean_seconds == pytest.approx(0.05 + 0.11)
    dos, fuzzing = score.per_class["dos"], score.per_class["fuzzing"]
    assert (dos.frames, dos.precision, dos.recall) == (2, 1 / 3, 0.5)
    assert (fuzzing.frames, fuzzing.precision, fuzzing.recall) == (2, 0.0, 0.0)
    assert score.per_class["spoofing"].recall is None
    assert list(score.per_kind) == ["flood", "fuzz"]
    flood, fuzz = score.per_kind["flood"], score.per_kind["fuzz"]
    assert (flood.recall, flood.class_recall, flood.precision) == (0.5, 0.5, 1 / 3)
    assert (flood.episodes, flood.episodes_detected) == (1, 1)
    assert flood.time_to_first_alarm_s == pytest.approx(0.001)
    assert (fuzz.recall, fuzz.class_recall, fuzz.precision) == (0.5, 0.0, 0.5)
    # The two fuzzed frames are 1.7 s apart: two attacks, the second missed.
    assert (fuzz.episodes, fuzz.episodes_detected) == (2, 1)
    assert fuzz.time_to_first_alarm_s == fuzz.longest_time_to_first_alarm_s == 0.0


def test_debounced_alarms() -> None:
    times = [0.0, 100.0, 200.1, 250.0, 260.0]
    frames = log(times, [0, 0, 0, 1, 0])
    score = judge([frames], [verdicts(1, 1, 1, 1, 1)], CLASSES)
    # 100 after 0; 250 after 200.1; 260 after 250: the last two have an attack frame beside them.
    assert (score.debounced_alarms, score.debounced_false_alarms) == (3, 1)


def test_logs_are_judged_apart() -> None:
    first, second = log([0.0, 10.0], [0, 0]), log([0.0, 10.0], [0, 0])
    score = judge([first, second], [verdicts(0, 1), verdicts(1, 0)], CLASSES)
    assert score.clean_seconds == pytest.approx(0.02)
    assert score.debounced_alarms == 0


def test_without_timestamps_nothing_is_said_of_time() -> None:
    frames = log([0.0] * 3, [0, 1, 1], timestamped=False)
    score = judge([frames], [verdicts(1, 1, 1)], CLASSES)
    assert score.clean_seconds is None
    assert score.debounced_alarms is score.debounced_false_alarms is None
    flood = score.per_kind["flood"]
    assert flood.recall == 1.0
    assert flood.episodes is flood.time_to_first_alarm_s is None


def test_unlabelled_frames_raise_alarms_but_judge_nothing() -> None:
    score = judge([log([0, 1, 2], [-1, -1, 0])], [verdicts(1, 0, 0)], CLASSES)
    assert (score.frames, score.alarms, score.false_alarms) == (3, 1, 0)
    assert (score.accuracy, score.false_positive_rate) == (1.0, 0.0)
    score = judge([log([0], [-1])], [verdicts(1)], CLASSES)
    assert score.accuracy is score.false_positive_rate is None


def test_a_class_that_the_model_lacks_is_never_right() -> None:
    score = judge([log([0, 1], [2, 3])], [verdicts(1, 1)], ("normal", "spoofing"))
    assert score.accuracy == 0.5
    assert score.per_kind["fuzz"].recall == 1.0
    assert score.per_kind["fuzz"].class_recall == 0.0


def test_an_unknown_kind_is_refused() -> None:
    frames = Frames(**{**vars(log([0.0], [1])), "kinds": ("normal", "sunshine")})
    with pytest.raises(InputError, match="sunshine"):
        judge([frames], [verdicts(0)], CLASSES)


def test_no_frames_at_all() -> None:
    score = judge([log([], [])], [verdicts()], CLASSES)
    assert (score.frames, score.accuracy, score.clean_seconds) == (0, None, 0.0)


def test_hand_rule() -> None:
    features = np.ones((5, 57), np.uint8)
    features[:, 12:17] = 0
    features[0, 33] = 0  # sooner than 5 % of the period
    features[1, 11] = 0  # unknown
    features[2, 12:15] = 1  # four constant bits changed
    features[3, 33:37] = [1, 1, 1, 0]  # sooner than half the period
    assert hand_rule(features, CLASSES).tolist() == [1, 2, 2, 3, 0]
    assert hand_rule(features, ("normal", "spoofing")).tolist() == [0, 0, 0, 1, 0]


@pytest.fixture(scope="module")
def attacked() -> tuple[CanModel, Frames]:
    clean = synthetic_bus(20.0, seed=1)
    return CanModel(CLASSES, 0.5, fit_table(clean)), inject(clean, seed=1)


def test_evaluate_runs_scorer_and_baselines_on_every_log(
    attacked: tuple[CanModel, Frames],
) -> None:
    model, frames = attacked
    seen = []

    def clairvoyant(features: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.append(features)
        return np.eye(4, dtype=np.float32)[frames.classes()]

    result = evaluate(clairvoyant, model, [frames, frames])
    assert np.array_equal(seen[1], extract(frames, model.table))
    assert result.score.frames == 2 * len(frames)
    assert result.score.accuracy == 1.0
    assert result.score.false_alarms == 0
    assert all(kind.recall == kind.precision == 1.0 for kind in result.score.per_kind.values())
    assert list(result.baselines) == ["always normal", "hand rule"]
    normal = result.baselines["always normal"]
    assert normal.accuracy == pytest.approx(np.mean(frames.kind == 0))
    assert normal.alarms == 0
    hand = result.baselines["hand rule"]
    assert hand.per_kind["unknown"].recall == 1.0
    assert 0.9 < (hand.accuracy or 0) < 1.0


def test_evaluation_as_json_and_as_tables(attacked: tuple[CanModel, Frames]) -> None:
    model, frames = attacked
    result = evaluate(lambda x: np.eye(4)[x[:, 11] * 0], model, [frames])
    data = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert data["accuracy"] == result.score.accuracy
    assert math.isclose(data["clean_seconds"], result.score.clean_seconds or 0)
    assert data["per_class"]["normal"]["recall"] == 1.0
    assert data["per_kind"]["burst"]["time_to_first_alarm_s"] is None
    assert data["baselines"]["hand rule"]["false_alarms"] >= 0
    console = Console(width=200, record=True, file=None, quiet=False)
    with console.capture() as capture:
        console.print(result)
    text = capture.get()
    assert "0 in" in text
    assert "byte-fuzz" in text
