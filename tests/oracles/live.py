"""Tensors of exact values, and what a quantiser did to them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cmp_to_key
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.oracles.rational import Fraction
from tests.oracles.reals import HALF, Real, Surd, add, compare, sign, to_float32, truncated

Constant = NDArray[Any]  # object array of Fraction
Integers = NDArray[np.int64]

NEAREST = ("ROUND", "HALF_EVEN", "HALF_UP", "HALF_DOWN")
SIGN = "SIGN"  # one-bit quantisers: −1 below zero, else 1


@dataclass
class Live:
    """A tensor that depends on the input, of shape (samples, channels).

    Element (i, c) is `tables[c][codes[i, c]]`.  `exact` is False below a sum of different square
    roots, which is carried on with 256 fraction bits.
    """

    codes: Integers
    tables: list[list[Real]]
    exact: bool = True

    @property
    def channels(self) -> int:
        return len(self.tables)

    @classmethod
    def of(cls, array: NDArray[Any]) -> "Live":
        """The tensor of the elements of `array` (samples, channels), at their exact values."""
        if array.ndim != 2:
            raise ValueError("the shape is not (samples, channels)")
        codes = np.empty(array.shape, np.int64)
        tables: list[list[Real]] = []
        for c, column in enumerate(array.T):
            distinct, codes[:, c] = np.unique(column, return_inverse=True)
            tables.append([Fraction(value) for value in distinct.tolist()])
        return cls(codes, tables)

    def map(self, function: Callable[..., Real], *parameters: Constant) -> "Live":
        """Apply `function(value, *parameters of the channel)`."""
        columns = [self.per_channel(p) for p in parameters]
        tables = [
            [function(value, *(column[c] for column in columns)) for value in table]
            for c, table in enumerate(self.tables)
        ]
        return Live(self.codes, tables, self.exact)

    def per_channel(self, parameter: Constant) -> Constant:
        """A parameter that broadcasts over samples, one element a channel."""
        column: Constant = np.broadcast_to(parameter, (1, self.channels))[0]
        return column

    def gather(self, function: Callable[[int, Real], Any], dtype: Any) -> NDArray[Any]:
        """`function(channel, value)` of each element, as an array."""
        result = np.empty(self.codes.shape, dtype)
        for c, table in enumerate(self.tables):
            column = np.empty(len(table), dtype)
            column[:] = [function(c, value) for value in table]
            result[:, c] = column[self.codes[:, c]]
        return result

    def ranks(self) -> Integers:
        """The order of the elements over all channels: equal ranks are equal values."""
        values = {value for table in self.tables for value in table}
        order: dict[Real, int] = {}
        rank, previous = -1, None
        for value in sorted(values, key=cmp_to_key(compare)):
            if previous is None or compare(previous, value) != 0:
                rank += 1
            order[value], previous = rank, value
        return self.gather(lambda _, value: order[value], np.int64)


@dataclass(frozen=True)
class Rounding:
    """What a quantiser was asked: real numbers in steps, before rounding, and the range it keeps.

    `low`, `high` and `zero` (what is added to the rounded steps) broadcast against `steps`.
    """

    steps: Live | Constant
    low: Constant
    high: Constant
    zero: Constant
    mode: str

    def ties(self) -> int:
        """How many live elements lie exactly where only the tie rule decides."""
        if not isinstance(self.steps, Live):
            return 0
        lows, highs = self.steps.per_channel(self.low), self.steps.per_channel(self.high)
        tied = self.steps.gather(lambda c, v: self._is_tie(v, lows[c], highs[c]), np.bool_)
        return int(tied.sum())

    def _is_tie(self, value: Real, low: Fraction, high: Fraction) -> bool:
        if isinstance(value, Surd):
            return False
        if self.mode == SIGN:
            return value == 0
        return self.mode in NEAREST and value.denominator == 2 and low < value < high

    def gap(self, index: tuple[int, ...], chosen: int) -> float:
        """How many steps the exact value at `index` is from where it would round to `chosen`."""
        shape = self.steps.codes.shape if isinstance(self.steps, Live) else self.steps.shape
        if isinstance(self.steps, Live):
            value = self.steps.tables[index[1]][self.steps.codes[index]]
        else:
            value = self.steps[index]
        if self.mode == SIGN:
            boundary = Fraction(0)
        else:
            boundary = chosen - np.broadcast_to(self.zero, shape)[index]
            boundary += HALF if sign(add(value, -boundary)) > 0 else -HALF
        return abs(float(truncated(add(value, -boundary), 256)))


def _nothing() -> Live:
    return Live(np.zeros((0, 0), np.int64), [])


@dataclass
class ExactResult:
    """What the model file means for a batch of inputs.

    `quantised` holds the integers (value / scale + zero point) of every quantiser of live data, by
    the name of its output.
    """

    quantised: dict[str, Integers] = field(default_factory=dict)
    roundings: dict[str, Rounding] = field(default_factory=dict)
    output: Live = field(default_factory=_nothing)

    @property
    def ties(self) -> dict[str, int]:
        """How many elements of each quantiser were decided by the tie rule."""
        return {name: rounding.ties() for name, rounding in self.roundings.items()}

    @property
    def output_exact(self) -> NDArray[Any]:
        """The final values as `Fraction` or `Surd`, (samples, channels)."""
        return self.output.gather(lambda _, value: value, object)

    @property
    def output_float32(self) -> NDArray[np.float32]:
        """The final values, each rounded once, ties to even."""
        return self.output.gather(lambda _, value: to_float32(value), np.float32)

    @property
    def argmax(self) -> Integers:
        """The index of the largest final value, the first of equals; (samples,)."""
        best: Integers = np.argmax(self.output.ranks(), axis=1).astype(np.int64)
        return best
