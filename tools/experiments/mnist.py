"""MNIST in every precision and by every rule, with the same budget of samples for all."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.rules import Learning
from tools.experiments.costs import BOARDS, measure
from tools.experiments.data import cached
from tools.experiments.digits import Digits, test_digits, training_digits
from tools.experiments.learners import LEARNERS, Classifier, program, references
from tools.experiments.precisions import PRECISIONS, applicable
from tools.experiments.registry import SEEDS, Experiment, Parameters, Result, register
from tools.experiments.store import CODE

SAMPLES: Final = 20_000
"""Four times the 5,000 images, one a step."""
PAUSES: Final = 8
RATES: Final = tuple(2.0**-power for power in (12, 10, 8, 6, 4, 2))
TRIED: Final = 2_500
HELD_OUT: Final = 1_000
COUNTED: Final = 20


def cases() -> Iterator[Parameters]:
    """The device in every precision and by every rule, and PyTorch beside it."""
    for learner, pairs in (("pytorch", references()), ("device", applicable())):
        for precision, rule in pairs:
            yield {"learner": learner, "precision": precision, "rule": rule, "samples": SAMPLES}


def run(parameters: Parameters, seed: int) -> Result:
    """Percent of the test images at the best of RATES, and of every fifth of them after each eighth
    of the samples."""
    rate, trials = _best_rate(parameters)
    rng = np.random.default_rng(seed)
    train = training_digits()[rng.permutation(5000)]
    stream = train[_order(len(train), parameters["samples"], rng)]
    curve = []
    for step, classifier in _learned(parameters, rate, seed, stream, PAUSES):
        curve.append((step, _percent(classifier, test_digits()[::5])))
    accuracy = _percent(classifier, test_digits())
    return {"rate": rate, "trials": trials, "curve": curve, "accuracy": accuracy}


def _best_rate(parameters: Parameters) -> tuple[float, list[float]]:
    """The rate for all seeds, and what each of RATES reaches.

    It is found in the same way for everyone, with the first seed: with each rate TRIED of the
    training images are learned once, and HELD_OUT others judge; of equals the least is taken.  The
    rate falls to zero in a line, in these trials too.
    """
    shuffled = training_digits()[np.random.default_rng(SEEDS[0]).permutation(5000)]
    tried, judges = shuffled[HELD_OUT:][:TRIED], shuffled[:HELD_OUT]

    def accuracy(rate: float) -> float:
        ((_, classifier),) = _learned(parameters, rate, SEEDS[0], tried, 1)
        return _percent(classifier, judges)

    name = "-".join(("mnist", *map(str, parameters.values())))
    trials = cached(name, lambda: [accuracy(rate) for rate in RATES], CODE)
    return RATES[int(np.argmax(trials))], trials


def falling(precision: str, rate: float, steps: int) -> Learning:
    """Cross-entropy; the rate falls to zero in a line over all steps."""
    return Learning(
        rate=rate,
        schedule="linear",
        schedule_steps=steps,
        schedule_factor=0.0,
        **PRECISIONS[precision].how,
    )


def _learned(
    parameters: Parameters, rate: float, seed: int, stream: Digits, pauses: int
) -> Iterator[tuple[int, Classifier]]:
    """Steps taken and what is learned then, at `pauses` points of `stream`."""
    precision, rule = parameters["precision"], parameters["rule"]
    how = falling(precision, rate, len(stream))
    at = [len(stream) * n // pauses for n in range(1, pauses + 1)]
    return LEARNERS[parameters["learner"]](precision, rule, how, seed, stream, at)


def _order(count: int, samples: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """`samples` of `count`, shuffled anew each time round."""
    rounds = [rng.permutation(count) for _ in range(-(-samples // count))]
    return np.concatenate(rounds)[:samples]


def _percent(classifier: Classifier, digits: Digits) -> float:
    right = classifier(digits.images).argmax(axis=1) == digits.labels
    return round(100 * float(np.mean(right)), 2)


def cost_cases() -> Iterator[Parameters]:
    """Each on both boards."""
    for precision, rule in applicable():
        for board in BOARDS:
            yield {"precision": precision, "rule": rule, "board": board}


def cost(parameters: Parameters, seed: int) -> Result:
    """What a step at a constant rate costs, over COUNTED images; or why the board cannot."""
    how = Learning(rate=RATES[0], **PRECISIONS[parameters["precision"]].how)
    digits = training_digits()[np.linspace(0, 4999, COUNTED, dtype=int)]
    try:
        made = program(parameters["precision"], parameters["rule"], how, seed, parameters["board"])
    except InputError as error:
        return {"refused": str(error)}
    return measure(made, digits.images, digits.labels)


register(Experiment("mnist", cases, run))
register(Experiment("mnist-cost", cost_cases, cost, seeds=SEEDS[:1]))
