"""Columns of bits added up in rows on carry chains."""

from edgetrain.kernels.rtl.circuit import MOST_INPUTS, ONE, TABLE_INPUTS, ZERO, Circuit, Field, Net
from edgetrain.kernels.rtl.linear import Columns

CARRIES = 4
"""The places of a block of the carry chain."""


def total(circuit: Circuit, columns: Columns, moved: int, width: int) -> tuple[Net, ...]:
    """The bits of columns + moved, modulo 2^width, the lowest first.

    A row adds counts of up to five bits of one place to the sum, as many as there is room for
    beside each other; the lowest places come first, and leave those above to shorter chains.
    """
    constant = (columns.constant + moved) % 2**width
    planes = [list(plane) for plane in columns.planes[:width]]
    planes += [[] for _ in range(width - len(planes))]
    bits = sum(map(len, planes))
    if bits == 0:
        return tuple(ONE if constant >> place & 1 else ZERO for place in range(width))
    if bits <= TABLE_INPUTS:
        return _looked_up(circuit, planes, constant, width)
    return _Rows(circuit, planes, constant).added()


def _looked_up(
    circuit: Circuit, planes: list[list[Net]], constant: int, width: int
) -> tuple[Net, ...]:
    weighted = [(net, 1 << place) for place, plane in enumerate(planes) for net in plane]
    values = [
        constant + sum(weight for i, (_, weight) in enumerate(weighted) if choice >> i & 1)
        for choice in range(2 ** len(weighted))
    ]
    nets = [net for net, _ in weighted]
    return tuple(circuit.lookup(nets, [value % 2**width for value in values], width))


class _Rows:
    """The sum so far, `a`, at most `most`; and the bits and constants that wait, by place."""

    def __init__(self, circuit: Circuit, planes: list[list[Net]], constant: int) -> None:
        self._circuit = circuit
        # The bits that are there first are the last ones.
        self._waiting = [sorted(p, key=lambda n: (-n.level, n.inverted)) for p in planes]
        self._constants = [constant >> place & 1 for place in range(len(planes))]
        self._a = [self._first(place) for place in range(len(planes))]
        self._most = sum((net != ZERO) << place for place, net in enumerate(self._a))

    def added(self) -> tuple[Net, ...]:
        for anchor in range(len(self._a)):
            while self._waiting[anchor] or self._constants[anchor]:
                self._row(anchor)
        return tuple(self._a)

    def _first(self, place: int) -> Net:
        """A bit that needs no adding: a plain one, or the constant where nothing else is."""
        waiting = self._waiting[place]
        for net in reversed(waiting):
            if not net.inverted:
                waiting.remove(net)
                return net
        if self._constants[place] and not waiting:
            self._constants[place] = 0
            return ONE
        return ZERO

    def _row(self, anchor: int) -> None:
        """Adds what fits beside each other, from a place on below which all is done."""
        fields = []
        place = anchor
        while place < len(self._a):
            field = self._field(place, place - anchor)
            if field.most:
                fields.append(field)
            place += max(1, field.most.bit_length())
        most = self._most + sum(f.most << f.place + anchor for f in fields)
        carry, waiting = None, self._waiting[anchor]
        plain = next((net for net in reversed(waiting) if not net.inverted), None)
        if plain is not None and self._width(anchor, most) % CARRIES:
            # There is a place for it in the last block of the chain.
            carry = plain
            waiting.remove(plain)
            most += 1 << anchor
        width = self._width(anchor, most)
        part = slice(anchor, anchor + width)
        self._a[part] = self._circuit.row(self._a[part], fields, carry, width)
        self._most = most

    def _width(self, anchor: int, most: int) -> int:
        return min(len(self._a), most.bit_length()) - anchor

    def _field(self, place: int, shown: int) -> Field:
        """Up to five bits; a constant where the count stays as wide, or comes last."""
        waiting = self._waiting[place]
        taken = tuple(waiting.pop() for _ in range(min(MOST_INPUTS, len(waiting))))
        constant = self._constants[place]
        if constant and waiting and len(taken).bit_length() != (len(taken) + 1).bit_length():
            constant = 0
        self._constants[place] -= constant
        return Field(shown, taken, constant)
