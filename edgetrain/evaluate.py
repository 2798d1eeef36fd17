"""How good a detector is: what it finds of each kind of attack, and what it says falsely.

The network itself is a `Scorer`, so the same figures come from a simulator, a board or PyTorch.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table

from edgetrain.can.features import extract
from edgetrain.can.frames import UNLABELLED, Frames
from edgetrain.can.kinds import CLASSES, class_of_kind
from edgetrain.can.table import CanModel

Scorer = Callable[[NDArray[np.uint8]], NDArray[Any]]
"""Features (n, 57), each 0 or 1 → the model's outputs (n, classes), in its own output domain."""

DEBOUNCE_US = 100_000
"""A debounced alarm needs two alarms at most this far apart."""

EPISODE_US = 1_000_000
"""Frames of one kind further apart than this belong to two attacks."""


@dataclass(frozen=True)
class ClassResult:
    """How well one class is told from the others; `None` where there is nothing to divide by."""

    frames: int
    precision: float | None
    recall: float | None


@dataclass(frozen=True)
class KindResult:
    """How well one kind of attack is found.

    `recall` is the share of its frames that raised an alarm, `class_recall` that were also given
    the right class.  `precision` is that of the kind's class, had the log held no other attack:
    alarmed frames of this kind over these and the normal frames taken for the same class.
    `time_to_first_alarm_s` is the median over the episodes detected, from an episode's first frame,
    `longest_time_to_first_alarm_s` the longest.  `None` without timestamps.
    """

    class_name: str
    frames: int
    recall: float
    class_recall: float
    precision: float | None
    episodes: int | None
    episodes_detected: int | None
    time_to_first_alarm_s: float | None
    longest_time_to_first_alarm_s: float | None


@dataclass(frozen=True)
class Score:
    """One detector on one or several logs.  Unlabelled frames count in `frames` and `alarms` only.

    `false_positive_rate` is `false_alarms` over the normal frames.  A debounced alarm is one that
    follows another within 100 ms; it is false if both are on normal frames.  `clean_seconds` is the
    time between neighbouring frames that are both normal: what the false alarms rest on.  Whatever
    needs time is `None` without timestamps.
    """

    frames: int
    accuracy: float | None
    false_positive_rate: float | None
    alarms: int
    false_alarms: int
    debounced_alarms: int | None
    debounced_false_alarms: int | None
    clean_seconds: float | None
    per_class: dict[str, ClassResult]
    per_kind: dict[str, KindResult]


@dataclass(frozen=True)
class Evaluation:
    """A model's score, beside those of the baselines on the same frames."""

    score: Score
    baselines: dict[str, Score]

    def to_json(self) -> dict[str, Any]:
        """The score's fields, and `baselines`: plain data for `json.dumps`."""
        return {
            **asdict(self.score),
            "baselines": {name: asdict(score) for name, score in self.baselines.items()},
        }

    def __rich__(self) -> Group:
        """Tables for people."""
        summary = Table("", "accuracy", "false positives", "false alarms", "debounced")
        for name, score in {"model": self.score, **self.baselines}.items():
            summary.add_row(
                name,
                _percent(score.accuracy),
                "–" if score.false_positive_rate is None else f"{score.false_positive_rate:.1e}",
                _in_time(score.false_alarms, score.clean_seconds),
                _in_time(score.debounced_false_alarms, score.clean_seconds),
            )
        kinds = Table("attack", "class", "frames", "recall", "right class", "precision")
        rivals = {name: score for name, score in self.baselines.items() if score.alarms}
        for title in ("episodes", "alarm after", *rivals):
            kinds.add_column(title)
        for kind, result in self.score.per_kind.items():
            first = result.time_to_first_alarm_s
            longest = result.longest_time_to_first_alarm_s
            kinds.add_row(
                kind,
                result.class_name,
                str(result.frames),
                _percent(result.recall),
                _percent(result.class_recall),
                _percent(result.precision),
                "–" if first is None else f"{result.episodes_detected} of {result.episodes}",
                "–"
                if first is None or longest is None
                else f"{first * 1e3:.1f} / {longest * 1e3:.0f} ms",
                *(_percent(rival.per_kind[kind].recall) for rival in rivals.values()),
            )
        return Group(summary, kinds) if self.score.per_kind else Group(summary)


def evaluate(score: Scorer, model: CanModel, logs: Sequence[Frames]) -> Evaluation:
    """Judges `score` under `model`'s table and threshold on every log, and both baselines.

    Every log starts with an extractor that has seen nothing.  Raises `InputError` for an attack
    kind of no known class.
    """
    verdicts: dict[str, list[NDArray[np.intp]]] = {"": [], "always normal": [], "hand rule": []}
    for log in logs:
        features = extract(log, model.table)
        outputs = score(features) if len(log) else np.zeros((0, len(model.classes)))
        verdicts[""].append(decide(outputs, model.alarm_threshold))
        verdicts["always normal"].append(np.zeros(len(log), np.intp))
        verdicts["hand rule"].append(hand_rule(features, model.classes))
    scores = {name: judge(logs, given, model.classes) for name, given in verdicts.items()}
    return Evaluation(scores.pop(""), scores)


def decide(outputs: NDArray[Any], threshold: float) -> NDArray[np.intp]:
    """The class of each row of `outputs` (n, classes): 0, normal, unless there is an alarm.

    Alarm iff the largest attack output minus the normal output is at least `threshold`; then the
    class is that of the largest attack output, the first of equals.
    """
    outputs = outputs.astype(np.float64)
    margin = outputs[:, 1:].max(axis=1) - outputs[:, 0]
    return np.where(margin >= threshold, outputs[:, 1:].argmax(axis=1) + 1, 0)


def hand_rule(features: NDArray[np.uint8], classes: Sequence[str]) -> NDArray[np.intp]:
    """What one would write without a network, on the same features (n, 57).

    A frame after less than 5 % of its identifier's period is part of a flood; an unknown
    identifier, or four or more bits changed that never toggled, is fuzzing; a frame after less than
    half the period is spoofing.  The four and the half are the best of thirty pairs, by the traffic
    that chooses the network's threshold: this is no straw man.
    """
    known, violated = features[:, 11] == 1, features[:, 14] == 1
    after_twentieth, after_half = features[:, 33] == 1, features[:, 36] == 1
    rules = [
        (~after_twentieth, "dos"),
        (~known | violated, "fuzzing"),
        (~after_half, "spoofing"),
    ]
    return np.select(
        [condition for condition, name in rules if name in classes],
        [classes.index(name) for _, name in rules if name in classes],
        default=0,
    ).astype(np.intp)


def judge(
    logs: Sequence[Frames], verdicts: Sequence[NDArray[np.intp]], classes: Sequence[str]
) -> Score:
    """Compares `verdicts`, an index into `classes` for every frame of every log, with the labels.

    Labels of a class that is not among `classes` count as attacks, never as classified right.
    """
    index = {name: number for number, name in enumerate(classes)}
    lookup = np.array([*(index.get(name, len(classes)) for name in CLASSES), UNLABELLED])
    actual = np.concatenate([lookup[log.classes()] for log in logs])
    given = np.concatenate(verdicts)
    labelled, normal, alarm = actual != UNLABELLED, actual == 0, given > 0
    timestamped = all(log.timestamped for log in logs)
    # Logs are set an hour apart, so that nothing spans two of them.
    t_us = _timeline(logs)
    confirmed = np.diff(t_us[alarm]) <= DEBOUNCE_US
    both_normal = normal[alarm][1:] & normal[alarm][:-1]
    clean = normal[1:] & normal[:-1] & (np.diff(t_us) < _HOUR_US)
    return Score(
        frames=len(given),
        accuracy=_ratio(np.sum(actual == given), np.sum(labelled)),
        false_positive_rate=_ratio(np.sum(alarm & normal), np.sum(normal)),
        alarms=int(alarm.sum()),
        false_alarms=int(np.sum(alarm & normal)),
        debounced_alarms=int(confirmed.sum()) if timestamped else None,
        debounced_false_alarms=int(np.sum(confirmed & both_normal)) if timestamped else None,
        clean_seconds=float(np.diff(t_us)[clean].sum() / 1e6) if timestamped else None,
        per_class={
            name: ClassResult(
                frames=int(np.sum(actual == number)),
                precision=_ratio(
                    np.sum((actual == number) & (given == number)),
                    np.sum((given == number) & labelled),
                ),
                recall=_ratio(
                    np.sum((actual == number) & (given == number)), np.sum(actual == number)
                ),
            )
            for number, name in enumerate(classes)
        },
        per_kind={
            kind: _judge_kind(
                np.concatenate([log.of_kind(kind) for log in logs]),
                class_of_kind(kind),
                index.get(class_of_kind(kind), len(classes)),
                given,
                normal,
                t_us if timestamped else None,
            )
            for kind in _attack_kinds(logs)
        },
    )


def _judge_kind(
    of_kind: NDArray[np.bool_],
    class_name: str,
    class_index: int,
    given: NDArray[np.intp],
    normal: NDArray[np.bool_],
    t_us: NDArray[np.int64] | None,
) -> KindResult:
    found = of_kind & (given > 0)
    false = int(np.sum(normal & (given == class_index)))
    delays: list[float] = []
    episodes = None
    if t_us is not None:
        episode = _runs(t_us[of_kind], EPISODE_US)
        episodes = int(episode[-1]) + 1
        for number in np.unique(episode[found[of_kind]]):
            times = t_us[of_kind][episode == number]
            alarmed = t_us[of_kind][(episode == number) & found[of_kind]]
            delays.append(float(alarmed[0] - times[0]) / 1e6)
    return KindResult(
        class_name=class_name,
        frames=int(of_kind.sum()),
        recall=float(found.sum() / of_kind.sum()),
        class_recall=float(np.sum(of_kind & (given == class_index)) / of_kind.sum()),
        precision=_ratio(found.sum(), found.sum() + false),
        episodes=episodes,
        episodes_detected=None if episodes is None else len(delays),
        time_to_first_alarm_s=float(np.median(delays)) if delays else None,
        longest_time_to_first_alarm_s=max(delays, default=None),
    )


_HOUR_US = 3_600_000_000


def _timeline(logs: Sequence[Frames]) -> NDArray[np.int64]:
    """Times of all frames on one axis, every log an hour after the end of the one before."""
    parts, start = [], 0
    for log in logs:
        since = log.t_us - (log.t_us.min() if len(log) else 0) + start
        parts.append(since)
        start = int(since.max(initial=start)) + _HOUR_US
    return np.concatenate(parts)


def _runs(t_us: NDArray[np.int64], gap_us: int) -> NDArray[np.intp]:
    """The number of each time's run: a new one starts where more than `gap_us` has passed."""
    return np.cumsum(np.diff(t_us, prepend=t_us[:1]) > gap_us)


def _attack_kinds(logs: Sequence[Frames]) -> list[str]:
    """The attack kinds that occur, in the order of their first mention."""
    present = [log.kinds[index] for log in logs for index in np.unique(log.kind) if index > 0]
    return list(dict.fromkeys(present))


def _ratio(part: Any, whole: Any) -> float | None:
    return float(part / whole) if whole else None


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f} %"


def _in_time(count: int | None, seconds: float | None) -> str:
    """Counts with what they rest on, never a rate."""
    if count is None:
        return "–"
    return str(count) if seconds is None else f"{count} in {seconds:.0f} s"
