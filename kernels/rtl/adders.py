"""Full adders that several sums have in common."""

from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heappush
from itertools import combinations
from math import isqrt
from typing import TypeAlias

from edgetrain.kernels.rtl.circuit import Circuit, Net
from edgetrain.kernels.rtl.linear import Columns

WORTH = 5
"""Uses from which on an adder of three bits is shared: it takes two look-up tables, and saves each
use half of one."""
MOST_COMPARED = 500_000
"""Triples; layers of more are shared part by part."""


def share_adders(circuit: Circuit, sums: Sequence[Columns]) -> None:
    """Adds up three bits once that many of `sums` have at one place, themselves or inverted.

    The triples of most uses first; a bit is in one of them at most.
    """
    for place in range(max((len(s.planes) for s in sums), default=0)):
        owners = [s for s in sums if len(s.planes) > place]
        for triple, users in _triples([owner.planes[place] for owner in owners]):
            odd, two = circuit.lookup(triple, [n.bit_count() for n in range(8)], 2)
            for user, turned in users:
                plane = owners[user].planes[place]
                for net in triple:
                    plane.remove(~net if turned else net)
                plane.append(~odd if turned else odd)
                owners[user].enter(place + 1, ~two if turned else two)


_Triple: TypeAlias = tuple[Net, ...]


def _triples(planes: Sequence[Sequence[Net]]) -> Iterator[tuple[_Triple, list[tuple[int, bool]]]]:
    """Triples whose first bit is not inverted, and who has them, as they are or turned over."""
    nets = sorted({Net(net.name, net.level) for plane in planes for net in plane})
    # Numbers instead of nets, 2·i and its complement 2·i + 1: there are millions of triples.
    number = {net: 2 * i for i, net in enumerate(nets)}
    number |= {~net: code + 1 for net, code in number.items()}
    # Of equal bits in one plane one is left alone.
    bits = [{number[net] for net in plane} for plane in planes]
    parts = 1 + isqrt(sum(len(each) ** 3 for each in bits) // (6 * MOST_COMPARED))
    for part in range(parts):
        mine = range(2 * (len(nets) * part // parts), 2 * (len(nets) * (part + 1) // parts))
        for codes, users in _shared([{c for c in each if c in mine} for each in bits]):
            yield tuple(~nets[c // 2] if c & 1 else nets[c // 2] for c in codes), users


def _shared(left: list[set[int]]) -> Iterator[tuple[tuple[int, ...], list[tuple[int, bool]]]]:
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
        yield codes, [(user, bool(turn)) for user, turn in users]
