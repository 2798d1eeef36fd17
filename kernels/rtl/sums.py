"""Sums of multiples as rows of adders, plane by plane of bits, the most significant first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import combinations
from typing import TypeAlias

from edgetrain.compiler.expr import Apply, Const, Expr
from edgetrain.compiler.types import Int
from edgetrain.kernels.rtl.circuit import MOST_INPUTS, ONE, ZERO, Circuit, Net, is_constant


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


CARRIES = 4
"""The places of a block of the carry chain."""
WORTH = 5
"""Uses from which on an adder of three bits is shared: it takes two look-up tables, and saves each
use half of one."""


@dataclass
class Columns:
    """constant + Σ 2^place·(how many of planes[place] are 1)."""

    constant: int
    planes: list[list[Net]] = field(default_factory=list)

    def add(self, times: int, number: Number) -> None:
        """times·number more, a signed digit at a time: −2^n·b is 2^n·(1 − b) − 2^n."""
        self.constant += times * number.offset
        for place, bit in enumerate(number.bits):
            for digit, sign in _signed_digits(times):
                self.enter(place + digit, bit if sign > 0 else ~bit)
                self.constant -= (sign < 0) << place + digit

    def enter(self, place: int, bit: Net) -> None:
        """2^place·bit more."""
        if is_constant(bit):
            self.constant += (bit == ONE) << place
            return
        self.planes += [[] for _ in range(place + 1 - len(self.planes))]
        self.planes[place].append(bit)


def share(circuit: Circuit, sums: Sequence[Columns]) -> None:
    """Adds up three bits once that many of `sums` have at one place, themselves or inverted.

    The triples of most uses first; a bit is in one of them at most.
    """
    for place in range(max((len(s.planes) for s in sums), default=0)):
        planes = [s.planes[place] for s in sums if len(s.planes) > place]
        owners = [s for s in sums if len(s.planes) > place]
        for triple, users in _triples(planes):
            stage = max(net.stage for net in triple)
            a, b, c = (circuit.at(net, stage) for net in triple)
            odd = circuit.table(f"{a} ^ {b} ^ {c}", stage)
            two = circuit.table(f"({a} & {b}) | ({a} & {c}) | ({b} & {c})", stage)
            for user, turned in users:
                for net in triple:
                    planes[user].remove(~net if turned else net)
                planes[user].append(~odd if turned else odd)
                owners[user].enter(place + 1, ~two if turned else two)


_Triple: TypeAlias = tuple[Net, ...]


def _triples(planes: Sequence[Sequence[Net]]) -> Iterator[tuple[_Triple, list[tuple[int, bool]]]]:
    """Triples whose first bit is not inverted, and who has them, as they are or turned over."""
    nets = sorted({Net(net.name, net.stage) for plane in planes for net in plane})
    # Numbers instead of nets, 2·i and its complement 2·i + 1: there are millions of triples.
    number = {net: 2 * i for i, net in enumerate(nets)}
    number |= {~net: code + 1 for net, code in number.items()}
    # Of equal bits in one plane one is left alone.
    left = [{number[net] for net in plane} for plane in planes]
    uses: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for user, bits in enumerate(left):
        for a, b, c in combinations(sorted(bits), 3):
            turn = a & 1
            uses.setdefault((a ^ turn, b ^ turn, c ^ turn), []).append((user, turn))
    heap = [(-len(users), codes) for codes, users in uses.items() if len(users) >= WORTH]
    heapify(heap)
    while heap:
        count, codes = heappop(heap)
        sides = [{code ^ turn for code in codes} for turn in (0, 1)]
        users = [(user, turn) for user, turn in uses[codes] if sides[turn] <= left[user]]
        if len(users) < WORTH:
            continue
        if len(users) < -count:
            heappush(heap, (-len(users), codes))
            continue
        for user, turn in users:
            left[user] -= sides[turn]
        triple = tuple(~nets[code // 2] if code & 1 else nets[code // 2] for code in codes)
        yield triple, [(user, bool(turn)) for user, turn in users]


def total(circuit: Circuit, columns: Columns, moved: int, width: int, rows: int) -> tuple[Net, ...]:
    """The bits of columns + moved, modulo 2^width, the lowest first; `rows` rows a stage.

    Plane by plane, the most significant first: doubling is wiring, and what is added to the lowest
    places leaves those above to the carry chain.
    """
    first = max((net.stage for plane in columns.planes for net in plane), default=0)
    constant = (columns.constant + moved) % 2**width
    a: list[Net] = []
    most, done = 0, 0
    for plane in reversed(range(width)):
        room = width - plane
        bits = columns.planes[plane] if plane < len(columns.planes) else []
        waiting = sorted(bits, key=lambda net: net.inverted)
        most = 2 * most + (constant >> plane & 1)
        if constant >> plane & 1:
            a = [ONE, *a]
        elif waiting and not waiting[0].inverted:
            a, most = [waiting.pop(0), *a], most + 1
        elif a:
            a = [ZERO, *a]
        a = a[:room]
        while waiting:
            added = [waiting.pop() for _ in range(min(MOST_INPUTS, len(waiting)))]
            most += len(added)
            places = min(room, most.bit_length())
            carry = None
            if waiting and not waiting[0].inverted and places % CARRIES:
                # There is a place for it in the last block of the chain.
                carry, most = waiting.pop(0), most + 1
                places = min(room, most.bit_length())
            a = circuit.row(a, added, carry, first + done // rows, places)
            done += 1
    return (*a, *[ZERO] * (width - len(a)))


def _signed_digits(factor: int) -> list[tuple[int, int]]:
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
