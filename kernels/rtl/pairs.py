"""Pairs of terms that several sums have in common, added once."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from typing import TypeAlias

from edgetrain.compiler.expr import Expr, Local
from edgetrain.compiler.types import Int
from edgetrain.kernels.rtl.circuit import TABLE_INPUTS
from edgetrain.kernels.rtl.linear import Linear, signed_digits

TABLES_A_BIT = 0.58
"""What a bit of a sum costs: three look-up tables add five, or six."""
MOST_COMPARED = 1_000_000
"""Pairs of digits; layers of more are shared part by part."""

_Digit: TypeAlias = tuple[int, int]
"""The number of a value, and a place."""
_Pattern: TypeAlias = tuple[int, int, int, int]
"""Two values, by how many places the second is higher, and −1 where their signs differ."""


def share_pairs(sums: Sequence[Linear], name: str) -> list[tuple[Local, Linear]]:
    """Pairs that are worth adding once for several of `sums`, which become sums over them.

    They are called `name` and a number; one may be of pairs before it.  This is the greedy two-term
    elimination of Hartley (1996), by the look-up tables that it saves.  A pair is counted from
    where none of its bits has a negative weight and no constant is left to add.
    """
    locals_ = {term for each in sums for term in each.terms if isinstance(term, Local)}
    values = sorted(locals_, key=lambda local: local.name)
    number = {value: i for i, value in enumerate(values)}
    digits: list[dict[_Digit, int]] = [
        {
            (number[term], place): sign
            for term, times in each.terms.items()
            if isinstance(term, Local)
            for place, sign in signed_digits(times)
        }
        for each in sums
    ]
    pairs: list[tuple[Local, Linear]] = []

    def made(pattern: _Pattern) -> Int:
        local, pair = _pair(values, pattern, f"{name} {len(pairs)}")
        values.append(local)
        pairs.append((local, pair))
        return _kind(local)

    parts = 1 + sum(len(each) ** 2 for each in digits) // (2 * MOST_COMPARED)
    given = len(values)
    for part in range(parts):
        mine = range(given * part // parts, given * (part + 1) // parts)
        parted = [{d: each.pop(d) for d in list(each) if d[0] in mine} for each in digits]
        _Sharing([_kind(value) for value in values], parted).run(made)
        for each, shared in zip(digits, parted, strict=True):
            each |= shared
    constants: dict[Expr, int] = {}
    for local, pair in pairs:
        constants[local] = pair.constant + sum(
            times * constants.get(term, 0) for term, times in pair.terms.items()
        )
    for whole, shared in zip(sums, digits, strict=True):
        whole.terms = {}
        for (value, place), sign in sorted(shared.items()):
            local = values[value]
            whole.terms[local] = whole.terms.get(local, 0) + (sign << place)
            whole.constant -= constants.get(local, 0) * (sign << place)
    return pairs


def _kind(local: Local) -> Int:
    assert isinstance(local.type, Int)
    return local.type


def _pair(values: Sequence[Local], pattern: _Pattern, name: str) -> tuple[Local, Linear]:
    first, second, higher, sign = pattern
    pair = Linear()
    lo = hi = 0
    for value, times in ((first, 1 << max(0, -higher)), (second, sign << max(0, higher))):
        local = values[value]
        kind = _kind(local)
        pair.terms[local] = pair.terms.get(local, 0) + times
        ends = sorted((times * kind.lo, times * kind.hi))
        lo, hi = lo + ends[0], hi + ends[1]
        # Of the bits, as they are or inverted, without what they count.
        least = -(2 ** (kind.bits - 1)) if kind.signed else 0
        pair.constant -= times * (least if times > 0 else least + 2**kind.bits - 1)
    return Local(name, Int(lo + pair.constant, hi + pair.constant)), pair


class _Sharing:
    """Sums as digits, and how many of them have each pattern."""

    def __init__(self, kinds: list[Int], sums: Sequence[dict[_Digit, int]]) -> None:
        self._kinds, self._sums = kinds, sums
        self._counts: Counter[_Pattern] = Counter()
        for each in sums:
            digits = sorted(each)
            self._counts.update(
                _pattern(each, digits[i], other)
                for i in range(len(digits))
                for other in digits[i + 1 :]
            )

    def run(self, made: Callable[[_Pattern], Int]) -> None:
        """Replaces the most saving pattern until none saves any; `made` gives its range."""
        heap = [(-saved, p) for p in self._counts if (saved := self._saved(p)) > 0]
        heapify(heap)
        while heap:
            before, pattern = heappop(heap)
            saved = self._saved(pattern)
            if saved <= 0:
                continue
            if saved < -before:
                heappush(heap, (-saved, pattern))
                continue
            found = [list(self._found(each, pattern)) for each in self._sums]
            if sum(map(len, found)) < self._counts[pattern]:
                # Where digits of one value overlap there are fewer.
                self._counts[pattern] = sum(map(len, found))
                heappush(heap, (-self._saved(pattern), pattern))
                continue
            self._kinds.append(made(pattern))
            new: set[_Pattern] = set()
            for each, places in zip(self._sums, found, strict=True):
                for a, b in places:
                    new.update(self._replaced(each, a, b))
            for p in sorted(new):
                if (saved := self._saved(p)) > 0:
                    heappush(heap, (-saved, p))

    def _saved(self, pattern: _Pattern) -> float:
        """Look-up tables."""
        first, second, higher, _ = pattern
        a, b = self._kinds[first], self._kinds[second]
        low, high = (a, b) if higher >= 0 else (b, a)
        overlap = min(low.bits - abs(higher), high.bits)
        if overlap <= 0:
            return 0
        top: int = (2**low.bits - 1) + (2**high.bits - 1 << abs(higher))
        bits = top.bit_length()
        tables = overlap if a.bits + b.bits > TABLE_INPUTS else bits - abs(higher)
        return self._counts[pattern] * TABLES_A_BIT * (a.bits + b.bits - bits) - tables

    def _found(
        self, digits: dict[_Digit, int], pattern: _Pattern
    ) -> Iterator[tuple[_Digit, _Digit]]:
        """Where a sum has the pattern, each digit once."""
        first, second, higher, sign = pattern
        used: set[_Digit] = set()
        for a in sorted(d for d in digits if d[0] == first):
            b = (second, a[1] + higher)
            if digits.get(b) == sign * digits[a] and not {a, b} & used:
                used |= {a, b}
                yield a, b

    def _replaced(self, digits: dict[_Digit, int], a: _Digit, b: _Digit) -> Iterator[_Pattern]:
        """Puts the newest value in the place of two digits; the patterns that there are now."""
        sign = digits[a]
        for digit in (a, b):
            for other in digits:
                if other != digit:
                    self._counts[_pattern(digits, digit, other)] -= 1
            del digits[digit]
        new = (len(self._kinds) - 1, min(a[1], b[1]))
        digits[new] = sign
        for other in digits:
            if other != new:
                pattern = _pattern(digits, new, other)
                self._counts[pattern] += 1
                yield pattern


def _pattern(digits: dict[_Digit, int], a: _Digit, b: _Digit) -> _Pattern:
    first, second = min(a, b), max(a, b)
    return first[0], second[0], second[1] - first[1], digits[a] * digits[b]
