"""What an experiment is, and the table of all; each module of experiments enters its own."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Parameters = Mapping[str, Any]
"""Names and values that JSON can hold; with the seed they determine the result."""
Result = dict[str, Any]

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Experiment:
    """`run(parameters, seed)` gives the same figures every time, as data that JSON can hold.

    `cases` are the parameters of which there are figures, read from the compiler's registries where
    these say what there is.  What does not depend on chance has one seed.
    """

    name: str
    cases: Callable[[], Iterable[Parameters]]
    run: Callable[[Parameters, int], Result]
    seeds: tuple[int, ...] = SEEDS


@dataclass(frozen=True)
class Unit:
    """What is run and kept as a whole."""

    experiment: str
    parameters: Parameters
    seed: int

    def __str__(self) -> str:
        values = " ".join(f"{name}={value}" for name, value in self.parameters.items())
        return f"{self.experiment} {values} seed={self.seed}"


EXPERIMENTS: dict[str, Experiment] = {}


def register(experiment: Experiment) -> None:
    EXPERIMENTS[experiment.name] = experiment


def units() -> Iterator[Unit]:
    """All there is to do, the first seed of every case before the second of any."""
    for experiment in EXPERIMENTS.values():
        cases = list(experiment.cases())
        for seed in experiment.seeds:
            yield from (Unit(experiment.name, case, seed) for case in cases)
