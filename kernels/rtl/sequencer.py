"""Whose turn it is: the positions of each entry's sequence, and counters that all of them share."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

from edgetrain.kernels.rtl.counting import Counters
from edgetrain.kernels.rtl.memories import Memory, field_bits

Kind = Literal["unit", "load", "store"]


@dataclass(eq=False)
class Position:
    """Something to be done: so many turns of each counter, while the net `select` is 1.

    `depth`: cycles from a turn to the end of its last write.
    """

    kind: str
    select: str
    turns: dict[str, int]
    depth: int = 0


@dataclass(frozen=True, eq=False)
class Transfer:
    """A position that moves a memory in or out."""

    kind: str
    select: str
    memory: Memory


class Sequencer:
    def __init__(self) -> None:
        self._positions: list[Position] = []
        self.transfers: list[Transfer] = []
        self._entries: dict[str, list[Position]] = {}
        self._known: dict[tuple[str, str], Position] = {}

    def unit(self, counters: Counters) -> Position:
        """A new position for a unit with those loops."""
        return self._added("unit", {c.counter.name: c.loop.turns for c in counters.every})

    def transfer(self, kind: str, memory: Memory) -> Position:
        """The position that loads or stores `memory`."""
        if (kind, memory.name) not in self._known:
            counts = memory.shape.counts
            turns = {f"g{len(counts) - 1 - i}": n for i, n in enumerate(counts)}
            position = self._known[kind, memory.name] = self._added(kind, turns)
            self.transfers.append(Transfer(kind, position.select, memory))
        return self._known[kind, memory.name]

    def add(self, entry: str, sequence: Sequence[Position]) -> None:
        self._entries[entry] = list(sequence)

    def _added(self, kind: str, turns: dict[str, int]) -> Position:
        self._positions.append(Position(kind, f"u{len(self._positions)}", turns))
        return self._positions[-1]

    @property
    def widths(self) -> dict[str, int]:
        """Of the counters, the fastest first: those of folds turn within the others."""
        found: dict[str, int] = {}
        for position in self._positions:
            for name, turns in position.turns.items():
                found[name] = max(found.get(name, 1), field_bits(turns))
        return {name: found[name] for name in sorted(found)}

    def cycles(self, entry: str) -> int:
        """From the first beat to the last of the answer, without stalls."""
        total = 0
        sequence = self._entries[entry]
        for i, position in enumerate(sequence):
            turns = prod(position.turns.values())
            if position.kind == "unit":
                total += turns + self._drained(sequence, i)
            else:
                total += turns * (2 if position.kind == "store" else 1)
        return total

    def _drained(self, sequence: Sequence[Position], place: int) -> int:
        """The cycles between the last turn of a unit and the first of the next: its own writes are
        done, and what it has sent along is gone from the next one's pipeline too."""
        following = sequence[place + 1] if place + 1 < len(sequence) else sequence[place]
        return max(sequence[place].depth, following.depth)

    @property
    def parts(self) -> Counter[str]:
        """What it is made of."""
        return Counter(sum=2 * sum(self.widths.values()))

    def lines(self) -> list[str]:
        places = [
            (entry, i) for entry, sequence in self._entries.items() for i in range(len(sequence))
        ]
        count = len(places)
        bits = max(1, field_bits(count))
        at = {place: number for number, place in enumerate(places)}
        lines = [f"reg [{bits - 1}:0] pc; reg run;"]
        for position in self._positions:
            own = [n for (e, i), n in at.items() if self._entries[e][i] is position]
            text = " | ".join(f"(pc == {n})" for n in own)
            lines.append(f"wire {position.select} = active & ({text});")
        kinds = {
            kind: " | ".join(p.select for p in self._positions if p.kind == kind) or "1'b0"
            for kind in ("unit", "load", "store")
        }
        lines += [
            f"wire loading = {kinds['load']};",
            f"wire storing = {kinds['store']};",
            f"wire working = {kinds['unit']};",
            "wire go = run & working;",
            "reg offered;",
            "assign s_ready = loading;",
            "assign m_valid = storing & offered;",
            "wire turn = go | (loading & s_valid) | (m_valid & m_ready);",
        ]
        lines += self._counters(at)
        lines += self._control(at, bits)
        return lines

    def _counters(self, at: dict[tuple[str, int], int]) -> list[str]:
        lines = []
        carry = "turn"
        names = list(self.widths)
        for name, width in self.widths.items():
            limits: dict[int, list[str]] = {}
            for position in self._positions:
                turns = position.turns.get(name, 1)
                limits.setdefault(turns - 1, []).append(position.select)
            text = _selected(limits, width)
            lines += [
                f"reg [{width - 1}:0] {name}; wire [{width - 1}:0] {name}_end = {text};",
                f"wire {name}_last = ({name} == {name}_end);",
                f"wire {name}_turn = {carry};",
                "always @(posedge clk)",
                f"    if (rst | ({name}_turn & {name}_last)) {name} <= 0;",
                f"    else if ({name}_turn) {name} <= {name} + 1'b1;",
            ]
            carry = f"{name}_turn & {name}_last"
        folds = [n for n in names if n[0] == "f"]
        lines.append(f"wire f_first = {' & '.join(f'({n} == 0)' for n in folds) or 1};")
        lines.append(f"wire f_last = {' & '.join(f'{n}_last' for n in folds) or 1};")
        lines.append(f"wire at_end = {' & '.join(f'{n}_last' for n in names)};")
        lines.append("wire last = turn & at_end;")
        return lines

    def _control(self, at: dict[tuple[str, int], int], bits: int) -> list[str]:
        waits: dict[int, list[int]] = {}
        ends = []
        for (entry, i), number in at.items():
            sequence = self._entries[entry]
            if sequence[i].kind == "unit":
                waits.setdefault(self._drained(sequence, i) - 1, []).append(number)
            if i == len(sequence) - 1:
                ends.append(number)
        deepest = max(waits, default=0)
        width = max(1, field_bits(deepest + 1))
        cases = [
            f"        {', '.join(map(str, n))}: wait_for = {w};" for w, n in sorted(waits.items())
        ]
        starts = [at[entry, 0] for entry in self._entries]
        begin = " ".join(f"{i}: pc <= {n};" for i, n in enumerate(starts))
        final = " | ".join(f"(pc == {n})" for n in ends)
        return [
            f"reg [{width - 1}:0] wait_for, waiting;",
            "always @* begin",
            "    case (pc)",
            *cases,
            "        default: wait_for = 0;",
            "    endcase",
            "end",
            f"wire ending = {final};",
            "assign m_last = ending & at_end & m_valid;",
            "wire done = (working & ~run & (waiting == 0)) | (~working & last);",
            "always @(posedge clk) begin",
            "    if (rst) begin active <= 0; run <= 0; offered <= 0; end",
            "    else if (~active) begin",
            "        active <= s_valid; run <= 1; offered <= 0;",
            f"        case (entry) {begin} default: pc <= 0; endcase",
            "    end else begin",
            "        offered <= storing & ~(m_valid & m_ready);",
            "        if (done) begin",
            f"            pc <= pc + {bits}'d1; run <= 1; active <= ~ending;",
            "        end else if (working & last) run <= 0;",
            "        if (run) waiting <= wait_for; else waiting <= waiting - 1'b1;",
            "    end",
            "end",
        ]


def _selected(limits: dict[int, list[str]], width: int) -> str:
    most = max(limits, key=lambda n: len(limits[n]))
    text = f"{width}'d{most}"
    for limit, selects in limits.items():
        if limit != most:
            text = f"({' | '.join(selects)}) ? {width}'d{limit} : {text}"
    return text
