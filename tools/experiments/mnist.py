"""MNIST in every precision and by every rule, with the same budget of samples for all."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.rules import Learning
from tools.experiments.costs import BOARDS, measure
from tools.experiments.digits import Digits, test_digits, training_digits
from tools.experiments.learners import LEARNERS, Classifier, program, references
from tools.experiments.precisions import PRECISIONS, applicable
from tools.experiments.registry import Experiment, Parameters, Result, register

SAMPLES: Final = 40_000
"""Eight times the 5,000 images, one a step."""
PAUSES: Final = 8
RATES: Final = tuple(2.0**-power for power in (12, 10, 8, 6, 4, 2))
HELD_OUT: Final = 500
COUNTED: Final = 20


def cases() -> Iterator[Parameters]:
    """The device in every precision and by every rule, and PyTorch beside it."""
    for learner, pairs in (("pytorch", references()), ("device", applicable())):
        for precision, rule in pairs:
            yield {"learner": learner, "precision": precision, "rule": rule, "samples": SAMPLES}


def run(parameters: Parameters, seed: int) -> Result:
    """Percent of the test images, after each eighth of the samples, at the best of RATES.

    Which is best is found in the same way for everyone: with each rate 4,500 of the training images
    are learned once, and the 500 others judge; of equals the least is taken.  The rate falls to
    zero in a line, in these trials too.
    """
    rng = np.random.default_rng(seed)
    samples, train = parameters["samples"], training_digits()[rng.permutation(5000)]
    trial, held_out = train[HELD_OUT:][:samples], train[:HELD_OUT]
    trials = [_curve(parameters, rate, seed, trial, 1, held_out)[0][1] for rate in RATES]
    rate = RATES[int(np.argmax(trials))]
    stream = train[_order(len(train), samples, rng)]
    curve = _curve(parameters, rate, seed, stream, PAUSES, test_digits())
    return {"rate": rate, "trials": trials, "curve": curve, "accuracy": curve[-1][1]}


def falling(precision: str, rate: float, steps: int) -> Learning:
    """Cross-entropy; the rate falls to zero in a line over all steps."""
    return Learning(
        rate=rate,
        schedule="linear",
        schedule_steps=steps,
        schedule_factor=0.0,
        **PRECISIONS[precision].how,
    )


def _curve(
    parameters: Parameters, rate: float, seed: int, stream: Digits, pauses: int, judges: Digits
) -> list[tuple[int, float]]:
    """Steps taken and accuracy then, at `pauses` points of `stream`."""
    precision, rule = parameters["precision"], parameters["rule"]
    how = falling(precision, rate, len(stream))
    at = [len(stream) * n // pauses for n in range(1, pauses + 1)]
    learn = LEARNERS[parameters["learner"]]
    learned = learn(precision, rule, how, seed, stream, at)
    return [(step, _percent(classifier, judges)) for step, classifier in learned]


def _order(count: int, samples: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """`samples` of `count`, shuffled anew each time round."""
    rounds = [rng.permutation(count) for _ in range(-(-samples // count))]
    return np.concatenate(rounds)[:samples]


def _percent(classifier: Classifier, digits: Digits) -> float:
    right = classifier(digits.images).argmax(axis=1) == digits.labels
    return round(100 * float(np.mean(right)), 2)


def cost_cases() -> Iterator[Parameters]:
    """Each on both boards, at a rate that falls and at a constant one."""
    for precision, rule in applicable():
        for board in BOARDS:
            for schedule in ("linear", "constant"):
                yield {"precision": precision, "rule": rule, "board": board, "schedule": schedule}


def cost(parameters: Parameters, seed: int) -> Result:
    """What a step costs, over COUNTED images; why not, where the board cannot."""
    how = falling(parameters["precision"], RATES[0], SAMPLES)
    how = replace(how, schedule=parameters["schedule"])
    digits = training_digits()[np.linspace(0, 4999, COUNTED, dtype=int)]
    try:
        made = program(parameters["precision"], parameters["rule"], how, seed, parameters["board"])
    except InputError as error:
        return {"refused": str(error)}
    return measure(made, digits.images, digits.labels)


register(Experiment("mnist", cases, run))
register(Experiment("mnist-cost", cost_cases, cost, seeds=(0,)))
