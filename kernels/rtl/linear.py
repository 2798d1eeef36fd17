"""Sums of multiples: expressions as such, and as columns of bits."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from edgetrain.compiler.expr import Apply, Const, Expr
from edgetrain.compiler.types import Int
from edgetrain.kernels.rtl.circuit import ONE, Net, is_constant


@dataclass
class Linear:
    """constant + Σ coefficient·value."""

    constant: int = 0
    terms: dict[Expr, int] = field(default_factory=dict)

    def add(self, expr: Expr, times: int) -> None:
        """`times`·expr more."""
        pending = [(expr, times)]
        while pending:
            node, factor = pending.pop()
            if isinstance(node, Const):
                self.constant += factor * int(node.value)
                continue
            match node:
                case Apply(op="add", args=(a, b)):
                    pending += [(a, factor), (b, factor)]
                case Apply(op="sub", args=(a, b)):
                    pending += [(a, factor), (b, -factor)]
                case Apply(op="mul", args=(a, Const(value=k))):
                    pending.append((a, factor * int(k)))
                case Apply(op="shl", args=(a, Const(value=k))):
                    pending.append((a, factor << int(k)))
                case Apply(op="assume", args=(a, *_)):
                    pending.append((a, factor))
                case _:
                    self.terms[node] = self.terms.get(node, 0) + factor


def linear(expr: Expr) -> Linear:
    """`expr` as a sum of multiples of what is no sum."""
    total = Linear()
    total.add(expr, 1)
    return total


def signed_digits(factor: int) -> list[tuple[int, int]]:
    """Places and signs of which few make the factor: no two neighbours (Reitwiesner, 1960)."""
    digits, place = [], 0
    while factor:
        if factor & 1:
            sign = 2 - factor % 4
            digits.append((place, sign))
            factor -= sign
        factor //= 2
        place += 1
    return digits


@dataclass(frozen=True)
class Number:
    """Σ 2^i·bits[i] + offset."""

    bits: tuple[Net, ...]
    offset: int = 0


def from_twos_complement(bits: Sequence[Net], kind: Int) -> Number:
    """What a wire of this range holds: the sign bit counts −2^n, or 2^n less 2^n where it is 0."""
    if not kind.signed:
        return Number(tuple(bits))
    return Number((*bits[:-1], ~bits[-1]), -(2 ** (len(bits) - 1)))


@dataclass
class Columns:
    """constant + Σ 2^place·(how many of planes[place] are 1)."""

    constant: int
    planes: list[list[Net]] = field(default_factory=list)

    def add(self, times: int, number: Number) -> None:
        """times·number more, a signed digit at a time: −2^n·b is 2^n·(1 − b) − 2^n."""
        self.constant += times * number.offset
        for place, bit in enumerate(number.bits):
            for digit, sign in signed_digits(times):
                self.enter(place + digit, bit if sign > 0 else ~bit)
                self.constant -= (sign < 0) << place + digit

    def enter(self, place: int, bit: Net) -> None:
        """2^place·bit more."""
        if is_constant(bit):
            self.constant += (bit == ONE) << place
            return
        self.planes += [[] for _ in range(place + 1 - len(self.planes))]
        self.planes[place].append(bit)
