"""A covering array: few rows in which valid pairs of values of two factors meet: all of them, or
first those of chosen factors and then as many as so many rows hold."""

import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

Factors = Mapping[str, Sequence[Any]]
Row = dict[str, Any]
Valid = Callable[[Row], bool]
"""Whether a row, or the part of one that is decided, can become a valid row."""
Pair = frozenset[tuple[str, Any]]

_CANDIDATES = 60
"""Rows tried for each row that is taken."""


def pairs(row: Mapping[str, Any]) -> set[Pair]:
    """The pairs that meet in `row`."""
    return {frozenset(two) for two in combinations(row.items(), 2)}


def valid_pairs(factors: Factors, valid: Valid) -> set[Pair]:
    """All that must meet."""
    found = set()
    for a, b in combinations(factors, 2):
        for row in ({a: x, b: y} for x in factors[a] for y in factors[b]):
            if valid(row):
                found |= pairs(row)
    return found


def covering_array(
    factors: Factors,
    valid: Valid,
    seed: int,
    first: Collection[frozenset[str]] = (),
    most: int | None = None,
) -> list[Row]:
    """Rows that cover all valid pairs, those of two factors in `first` before any other, or at
    most so many rows; each row is the best of some random ones, none of which lacks a pair that is
    still to be covered.  The same seed gives the same rows."""
    rng = random.Random(seed)
    # Sorted: the order of a set of strings differs from run to run.
    missing = sorted(valid_pairs(factors, valid), key=_text)
    rows: list[Row] = []
    while missing and (most is None or len(rows) < most):
        left = set(missing)
        wanted = [p for p in missing if frozenset(name for name, _ in p) in first] or missing
        candidates = [_complete(factors, valid, left, rng, wanted) for _ in range(_CANDIDATES)]
        urgent = set(wanted)

        def gain(row: Row, urgent: set[Pair] = urgent, left: set[Pair] = left) -> tuple[int, int]:
            return len(pairs(row) & urgent), len(pairs(row) & left)

        rows.append(max(candidates, key=gain))
        covered = pairs(rows[-1])
        missing = [pair for pair in missing if pair not in covered]
    return rows


def _complete(
    factors: Factors, valid: Valid, left: set[Pair], rng: random.Random, missing: list[Pair]
) -> Row:
    """A row with a missing pair in it, the other values chosen for most missing pairs."""
    row: Row = dict(rng.choice(missing))
    names = [name for name in factors if name not in row]
    rng.shuffle(names)
    for name in names:
        values = [v for v in factors[name] if valid({**row, name: v})]
        gains = [sum(frozenset({(name, v), kept}) in left for kept in row.items()) for v in values]
        best = [v for v, gain in zip(values, gains, strict=True) if gain == max(gains)]
        row[name] = rng.choice(best)
    return {name: row[name] for name in factors}


def _text(pair: Pair) -> list[tuple[str, str]]:
    return sorted((name, str(value)) for name, value in pair)


def walk(factors: Factors, valid: Valid, seed: int) -> Iterator[Row]:
    """Every valid row of the full product once, in an order that looks random."""
    count = 1
    for values in factors.values():
        count *= len(values)
    # An odd multiplier and any increment walk through a power of two in a full cycle.
    rng = random.Random(seed)
    size = 1 << (count - 1).bit_length()
    step, at = 4 * rng.randrange(size) + 1, rng.randrange(size)
    for _ in range(size):
        at = (at * step + 1) % size
        if at < count:
            row, rest = {}, at
            for name, values in factors.items():
                rest, digit = divmod(rest, len(values))
                row[name] = values[digit]
            if valid(row):
                yield row
