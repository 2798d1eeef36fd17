"""The recipe `can-ids`: an intrusion detector for one vehicle's CAN bus, from clean traffic alone.

The features' table and the network come from the first 60 % of the traffic's time, the alarm
threshold from the next 10 %, the figures from the last 30 %.  A random split would put near copies
of every test frame into training.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.can.features import extract
from edgetrain.can.frames import Frames, concatenate, sorted_by_time
from edgetrain.can.inject import KINDS, inject
from edgetrain.can.kinds import CLASSES, NORMAL
from edgetrain.can.synthetic import synthetic_bus
from edgetrain.can.table import CanModel, cross_fit, fit_table
from edgetrain.compiler.errors import InputError
from edgetrain.evaluate import Evaluation, evaluate
from edgetrain.train.progress import Progress

WIDTHS = (57, 64, 32, len(CLASSES))
FLOAT_EPOCHS = 10
QUANTISED_EPOCHS = 12

PASSES = (2, 3, 4, 6) * 4
"""Each entry is one pass over the training traffic, in so many stretches: the features of a stretch
come from a table fitted on the others.  A stretch of half the traffic is as new to its table as
next week's traffic is to the final one; with sixths alone, thresholds did not carry over."""

KEPT_NORMAL = 0.125
"""Share of the normal frames that each pass keeps: most are alike."""

FUZZING = CLASSES.index("fuzzing")
FLOOD_APART_US = 10_000

FALSE_POSITIVE_RATE = 1e-4

TEST_PASSES = 8
"""The test traffic is attacked so many times over, for enough attacks of each kind."""

Samples = tuple[NDArray[np.uint8], NDArray[np.int16]]
"""Features (n, 57) and classes (n,)."""

MIN_SECONDS = 20.0
SYNTHETIC_SECONDS = 100.0


@dataclass(frozen=True)
class Split:
    """Clean traffic, each part later than the one before."""

    training: Frames
    validation: Frames
    test: Frames


@dataclass(frozen=True)
class Figures:
    """One network on the test traffic, with injected attacks and without any."""

    attacked: Evaluation
    clean: Evaluation

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        return {"attacked": self.attacked.to_json(), "clean": self.clean.to_json()}


@dataclass(frozen=True)
class Result:
    """A 2-bit network (a `torch.nn.Sequential`) and all that makes verdicts of its outputs.

    `float` are the figures of the same network in float, trained for as many epochs.
    """

    network: Any
    can: CanModel
    epochs: int
    quantised: Figures
    float: Figures


def train_can_ids(logs: Sequence[Frames], seed: int, progress: Progress) -> Result:
    """Trains on `logs`: frames labelled as attacks are left out, unlabelled ones taken as normal.

    Without logs, on 100 s of the synthetic bus.  Raises `InputError` for a log that cannot be split
    or attacked.
    """
    from edgetrain.train import network

    split = split_by_time(logs or [synthetic_bus(SYNTHETIC_SECONDS)])
    samples = training_set(split.training, seed, progress)
    table = fit_table(split.training)
    validation = extract(split.validation, table)
    attacked = attacked_copies(split.test)

    def judged(mlp: Any, step: float) -> tuple[CanModel, Figures]:
        def score(features: NDArray[np.uint8]) -> NDArray[np.float64]:
            return network.outputs(mlp, features)

        can = CanModel(CLASSES, choose_threshold(score(validation), step), table)
        clean = evaluate(score, can, [split.test])
        return can, Figures(evaluate(score, can, attacked), clean)

    with network.reproducible(seed):
        twin = float_network(samples, seed, progress)
        quantised = w2a2_network(twin, samples, seed, progress)
        fine_tune(twin, samples, seed, progress, "float twin, as many epochs")
        can, figures = judged(quantised, network.output_scale(quantised))
        _, float_figures = judged(twin, 2.0**-20)
    epochs = FLOAT_EPOCHS + QUANTISED_EPOCHS
    return Result(quantised, can, epochs, figures, float_figures)


def float_network(samples: Samples, seed: int, progress: Progress) -> Any:
    """A float network, which a quantised one may begin with.

    It is the same every time within `edgetrain.train.network.reproducible(seed)`.
    """
    from edgetrain.train import network

    mlp, stage = network.float_mlp(WIDTHS), partial(progress, "float")
    network.fit(mlp, *samples, FLOAT_EPOCHS, seed, weight_decay=1e-3, progress=stage)
    return mlp


def w2a2_network(pretrained: Any, samples: Samples, seed: int, progress: Progress) -> Any:
    """The 2-bit network that begins with the weights of a float one."""
    from edgetrain.train import network

    mlp = network.w2a2_mlp(WIDTHS, pretrained)
    fine_tune(mlp, samples, seed, progress, "2 bits")
    return mlp


def fine_tune(mlp: Any, samples: Samples, seed: int, progress: Progress, name: str) -> None:
    """Trains on, as many epochs as a quantised network gets."""
    from edgetrain.train import network

    stage = partial(progress, name)
    network.fit(mlp, *samples, QUANTISED_EPOCHS, seed + 1, progress=stage)


def split_by_time(logs: Sequence[Frames]) -> Split:
    """60 %, 10 % and 30 % of each log's time, cut at whole seconds where it lasts 30 or more.

    Frames labelled as attacks are left out.  Raises `InputError` for a log without timestamps, of
    less than 20 s, or silent throughout one of the three.
    """
    parts = []
    for log in logs:
        clean = sorted_by_time(log[log.kind <= 0])
        clean = replace(clean, kind=np.zeros(len(clean), np.int16), kinds=(NORMAL,))
        seconds = clean.seconds
        if seconds is None:
            raise InputError("the log has no timestamps", remedy="train on timed recordings")
        if seconds < MIN_SECONDS:
            what = f"the log's normal traffic lasts {seconds:.1f} s, less than {MIN_SECONDS:.0f} s"
            raise InputError(what)
        cuts = [0.6 * seconds, 0.7 * seconds]
        if seconds >= 30:
            cuts = [float(round(cut)) for cut in cuts]
        pieces = [clean.between(0, cuts[0]), clean.between(*cuts), clean.between(cuts[1])]
        if not all(map(len, pieces)):
            where = " or ".join(f"{cut:.0f} s" for cut in cuts)
            raise InputError(f"the log is silent before, between or after {where}")
        parts.append(pieces)
    return Split(*(_in_sequence(part) for part in zip(*parts, strict=True)))


def training_set(
    clean: Frames, seed: int, progress: Progress, kinds: Sequence[str] = tuple(KINDS)
) -> Samples:
    """`clean` under fresh attacks of `kinds`, by cross-fitted tables.

    Beyond what the injector does, half of the floods take any identifier, and one identifier of
    each stretch is struck from its table, its frames called fuzzing: else the network learns that
    floods come from the first identifiers only, and unknown ones with random payloads only.  The
    former needs the kind dos, the latter the kind unknown.
    """
    rng = np.random.default_rng(seed)
    features, labels = [], []
    for number, folds in enumerate(PASSES):
        for stretch, table in cross_fit(clean, folds):
            attacked = inject(clean[stretch], kinds, seed=int(rng.integers(2**32)))
            if "dos" in kinds:
                attacked = _with_floods_of_any_identifier(attacked, rng)
            hidden = rng.permutation(len(table))[: int("unknown" in kinds)]
            classes = attacked.classes()
            classes[np.isin(table.row(attacked), hidden) & (classes == 0)] = FUZZING
            kept = (attacked.kind > 0) | (rng.random(len(classes)) < KEPT_NORMAL)
            features.append(extract(attacked, table.without(hidden))[kept])
            labels.append(classes[kept])
        progress("attacks", number + 1, len(PASSES))
    return np.concatenate(features), np.concatenate(labels)


def _with_floods_of_any_identifier(frames: Frames, rng: np.random.Generator) -> Frames:
    """`frames` with every other flood sent under the identifier of some normal frame."""
    flood = np.flatnonzero(frames.of_kind("dos"))
    number = np.cumsum(np.diff(frames.t_us[flood], prepend=frames.t_us[flood[0]]) > FLOOD_APART_US)
    source = rng.choice(np.flatnonzero(frames.kind == 0), number[-1] + 1)[number]
    source = np.where(number % 2 == 0, source, flood)
    identifier, extended = frames.id.copy(), frames.extended.copy()
    identifier[flood], extended[flood] = frames.id[source], frames.extended[source]
    return replace(frames, id=identifier, extended=extended)


def attacked_copies(clean: Frames) -> list[Frames]:
    """`clean` under fresh attacks, `TEST_PASSES` times; the same for every training seed."""
    return [inject(clean, seed=2**32 + number) for number in range(TEST_PASSES)]


def choose_threshold(outputs: NDArray[np.float64], step: float) -> float:
    """The lowest alarm threshold fit for `outputs` (n, classes) of clean traffic.

    Were further traffic exchangeable with this, at most `FALSE_POSITIVE_RATE` of it would raise an
    alarm in expectation: k of n frames alarming leaves (k + 1) / (n + 1) for the next frame.  Where
    n is too small for that, none alarms.  Margins are multiples of `step`; the threshold lies half
    a step above the largest margin that must not alarm, clear of any rounding.
    """
    margins = np.sort(outputs[:, 1:].max(axis=1) - outputs[:, 0])[::-1]
    allowed = max(0, int(FALSE_POSITIVE_RATE * (len(margins) + 1)) - 1)
    return float((np.rint(margins[allowed] / step) + 0.5) * step)


def _in_sequence(logs: Sequence[Frames]) -> Frames:
    """One log after the other in time, a second apart."""
    shifted, start = [], 0
    for log in logs:
        moved = replace(log, t_us=log.t_us - log.t_us[0] + start)
        shifted.append(moved)
        start = int(moved.t_us[-1]) + 1_000_000
    return concatenate(shifted)
