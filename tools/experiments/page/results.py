"""The committed results, chosen and summed up."""

from collections.abc import Iterable, Sequence
from statistics import mean
from typing import Any

from tools.experiments.store import COMMITTED, Record, load


def chosen(experiment: str, **parameters: Any) -> list[Record]:
    """The records of `experiment` that have these parameters."""
    return [
        record
        for record in load(COMMITTED).values()
        if record.experiment == experiment
        and all(record.parameters.get(name) == value for name, value in parameters.items())
    ]


def grouped(records: Iterable[Record], *names: str) -> dict[tuple[Any, ...], list[Record]]:
    """By the values of the parameters `names`, in order of appearance."""
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        key = tuple(record.parameters.get(name) for name in names)
        groups.setdefault(key, []).append(record)
    return groups


def values(records: Iterable[Record], name: str) -> list[Any]:
    """The figure `name` of every result that has it."""
    return [record.result[name] for record in records if record.result.get(name) is not None]


def spread(numbers: Sequence[float], form: str = ".2f") -> str:
    """The mean and, where they differ, the least and the greatest; a dash for no numbers."""
    if not numbers:
        return "–"
    least, greatest = (format(number, form) for number in (min(numbers), max(numbers)))
    around = "" if least == greatest else f" ({least}–{greatest})"
    return f"{mean(numbers):{form}}{around}"


def commits(records: Iterable[Record]) -> str:
    """Of what code they are."""
    return ", ".join(f"`{name}`" for name in sorted({record.commit for record in records}))
