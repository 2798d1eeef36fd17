"""Memories of a folded circuit: words of lanes, read a cycle after the address, written by lanes.

A memory of one word is a register, which is read at once.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.types import Int, TensorType
from edgetrain.kernels.rtl.parts import memory_parts

BLOCK_BITS = 2_048
"""From this size on a memory goes to block RAM, of which one holds 36,864 bits."""


def field_bits(count: int) -> int:
    """Of a part of an address that has so many values: none where there is only one."""
    return (count - 1).bit_length()


@dataclass(frozen=True, slots=True)
class Shape:
    """How the elements of a tensor lie in words of `lanes` neighbours in its last axis.

    An address is the indices of the other axes and that of the word in its row, one after the
    other, each in the bits that it needs: no arithmetic makes it.
    """

    kind: TensorType
    lanes: int

    @property
    def bits(self) -> int:
        """Of an element."""
        assert isinstance(self.kind.scalar, Int)
        return self.kind.scalar.bits

    @property
    def width(self) -> int:
        """Of a word."""
        return self.bits * self.lanes

    @property
    def counts(self) -> tuple[int, ...]:
        """The values that each part of an address has, the last one that of the word in its row."""
        if not self.kind.shape:
            return ()
        return (*self.kind.shape[:-1], -(-self.kind.shape[-1] // self.lanes))

    @property
    def address_bits(self) -> int:
        return sum(map(field_bits, self.counts))

    @property
    def words(self) -> int:
        """One more than the highest address."""
        return self.address([n - 1 for n in self.counts]) + 1

    def address(self, parts: Sequence[int]) -> int:
        at = 0
        for part, count in zip(parts, self.counts, strict=True):
            at = at << field_bits(count) | part
        return at

    def contents(self, elements: NDArray[np.integer]) -> list[int]:
        """Every word that holds `elements`; what lies between rows is 0."""
        words = [0] * self.words
        for index in np.ndindex(self.kind.shape):
            word, lane = divmod(index[-1], self.lanes) if index else (0, 0)
            at = self.address((*index[:-1], word)) if index else 0
            words[at] |= int(elements[index]) % 2**self.bits << lane * self.bits
        return words


@dataclass(frozen=True, slots=True)
class Access:
    """An address while a unit, or whatever `select` names, is at work."""

    select: str
    address: str


@dataclass(frozen=True, slots=True)
class Write:
    """Of a word: `enables` a net a lane, when `select`."""

    access: Access
    enables: tuple[str, ...]
    data: str


@dataclass
class Memory:
    """A memory `name` under construction: who reads and writes it, and what it holds at first."""

    name: str
    shape: Shape
    block_bits: int = BLOCK_BITS
    initial: Sequence[int] | None = None
    ports: list[list[Access]] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)

    @property
    def is_register(self) -> bool:
        return self.shape.words == 1

    def read(self, access: Access, used: int) -> str:
        """The net of the word read, where `access` is the `used`-th of its unit."""
        if self.is_register:
            return self.name
        while len(self.ports) <= used:
            self.ports.append([])
        self.ports[used].append(access)
        return f"{self.name}_q{used}"

    def declarations(self) -> list[str]:
        """The nets that `read` has promised."""
        width, words = self.shape.width, self.shape.words
        if self.is_register:
            return [f"reg [{width - 1}:0] {self.name};"]
        style = "block" if width * words >= self.block_bits else "distributed"
        return [
            f'(* ram_style = "{style}" *) reg [{width - 1}:0] {self.name} [0:{words - 1}];',
            *(f"reg [{width - 1}:0] {self.name}_q{port};" for port in range(len(self.ports))),
        ]

    def lines(self) -> list[str]:
        """What it does, once all nets of addresses and data are declared."""
        width, last = self.shape.width, self.shape.address_bits - 1
        lines, reads = [], []
        for port, accesses in enumerate(self.ports):
            address = f"{self.name}_a{port}"
            lines.append(f"wire [{last}:0] {address} = {chosen(accesses)};")
            reads.append(f"{self.name}_q{port} <= {self.name}[{address}];")
        if self.initial is not None:
            names = (
                [self.name]
                if self.is_register
                else [f"{self.name}[{at}]" for at in range(self.shape.words)]
            )
            # A word a line: Verilator reads lines of 40,000 tokens at most.
            held = "\n".join(
                f"{name} = {width}'h{word:x};"
                for name, word in zip(names, self.initial, strict=True)
            )
            lines.append(f"initial begin {held} end")
        target = self.name
        if self.writes and not self.is_register:
            target = f"{self.name}[{self.name}_w]"
            address = chosen([w.access for w in self.writes])
            lines.append(f"wire [{last}:0] {self.name}_w = {address};")
        return [*lines, *self._clocked(target, width, self.shape.bits, reads)]

    def parts(self) -> Counter[str]:
        """What it is made of."""
        width, words = self.shape.width, self.shape.words
        found = Counter(choice=(_others(w.data for w in self.writes)) * width)
        if self.is_register:
            return found
        addresses = [[a.address for a in port] for port in self.ports]
        addresses.append([w.access.address for w in self.writes])
        found["choice"] += sum(_others(each) for each in addresses) * self.shape.address_bits
        found.update(memory_parts(width, words, len(self.ports), width * words >= self.block_bits))
        return found

    def _clocked(self, target: str, width: int, bits: int, reads: list[str]) -> list[str]:
        """What the clock does: lanes are written, words are read."""
        if not self.writes:
            return self._block(reads)
        name = self.name
        data = chosen([Access(w.access.select, w.data) for w in self.writes])
        lines = [f"wire [{width - 1}:0] {name}_d = {data};"]
        enables = [
            " | ".join(f"({w.access.select} & {w.enables[lane]})" for w in self.writes)
            for lane in range(self.shape.lanes)
        ]
        if len(set(enables)) == 1:
            lines.append(f"wire {name}_e = {enables[0]};")
            return [*lines, *self._block([f"if ({name}_e) {target} <= {name}_d;", *reads])]
        lines.append(f"wire [{len(enables) - 1}:0] {name}_e = {{{', '.join(reversed(enables))}}};")
        clocked = [
            f"if ({name}_e[{lane}]) {target}[{lane * bits} +: {bits}]"
            f" <= {name}_d[{lane * bits} +: {bits}];"
            for lane in range(self.shape.lanes)
        ]
        return [*lines, *self._block([*clocked, *reads])]

    def _block(self, statements: Sequence[str]) -> list[str]:
        if not statements:
            return []
        return ["always @(posedge clk) begin", *(f"    {s}" for s in statements), "end"]


def _others(texts: Iterable[str]) -> int:
    """How many there are besides one."""
    return max(0, len(set(texts)) - 1)


def chosen(accesses: Sequence[Access]) -> str:
    """The address of whichever selects; that of most is taken where none does."""
    users: dict[str, list[str]] = {}
    for access in accesses:
        users.setdefault(access.address, []).append(access.select)
    most = max(users, key=lambda text: len(users[text]))
    text = most
    for address, selects in users.items():
        if address != most:
            text = f"({' | '.join(dict.fromkeys(selects))}) ? {address} : {text}"
    return text


def lookup(
    name: str, words: Sequence[int], width: int, address: str, bits: int, block_bits: int
) -> list[str]:
    """A table of constants: the net `name` is the word of an address a cycle ago."""
    style = "block" if width * len(words) >= block_bits else "logic"
    contents = "\n".join(f"{name}_m[{at}] = {width}'h{word:x};" for at, word in enumerate(words))
    return [
        f'(* rom_style = "{style}" *) reg [{width - 1}:0] {name}_m [0:{len(words) - 1}];',
        f"initial begin {contents} end",
        f"wire [{bits - 1}:0] {name}_a = {address};",
        f"reg [{width - 1}:0] {name};",
        f"always @(posedge clk) {name} <= {name}_m[{name}_a];",
    ]
