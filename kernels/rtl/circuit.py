"""A network of look-up tables and rows of adders, bit by bit, as pipelined Verilog.

It is written for FPGAs whose carry chains add a wire to any function of five others in one
look-up table a bit, as AMD's do; any synthesiser reads it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

TABLE_INPUTS = 6
"""Of a look-up table."""
MOST_INPUTS = TABLE_INPUTS - 1
"""Of a function that is added to a wire in one look-up table."""
_REFERENCE = re.compile("`(.*?)`")


@dataclass(frozen=True, slots=True, order=True)
class Net:
    """A wire, or its complement, behind `level` adders or tables at most."""

    name: str
    level: int
    inverted: bool = False

    def __invert__(self) -> "Net":
        constants = {ZERO: ONE, ONE: ZERO}
        return constants.get(self) or Net(self.name, self.level, not self.inverted)

    def __str__(self) -> str:
        """What stands for it in a statement: printing brings it to the statement's stage."""
        if is_constant(self):
            return self.name
        return f"~`{self.name}`" if self.inverted else f"`{self.name}`"


ZERO, ONE = Net("1'b0", 0), Net("1'b1", 0)


def is_constant(net: Net) -> bool:
    return net.name in (ZERO.name, ONE.name)


@dataclass(frozen=True, slots=True)
class Field:
    """`constant` + how many of `bits` (at most five) are 1, times 2^place."""

    place: int
    bits: tuple[Net, ...]
    constant: int = 0

    @property
    def most(self) -> int:
        return len(self.bits) + self.constant


class Circuit:
    """Statements of one module under construction, each of a level: one more than that of what it
    reads.  Which levels make a stage is said when all are there.  Names begin with `prefix`."""

    def __init__(self, prefix: str = "n") -> None:
        self.row_bits = 0
        self._prefix = prefix
        self._statements: list[tuple[int, str]] = []
        self._levels: dict[str, int] = {}
        self._count = 0

    def name(self) -> str:
        """A new one."""
        self._count += 1
        return f"{self._prefix}{self._count}"

    def state(self, level: int, *texts: str) -> None:
        """Statements that read nets of at most that level."""
        self._statements += [(level, text) for text in texts]

    def net(self, name: str, level: int) -> Net:
        """What a statement of that level has made, or an input."""
        self._levels[name] = level
        return Net(name, level)

    def row(
        self, a: Sequence[Net], fields: Sequence[Field], carry: Net | None, width: int
    ) -> list[Net]:
        """The lowest `width` bits of a + fields + carry; the fields do not overlap.

        `a`, lowest bit first, and `carry` are not inverted.  It is written as a difference, whose
        operands synthesisers do not swap: so it is `a` that the carry chain takes as it is.  In
        front of the lowest place there is one more, which only makes the carry.
        """
        read = [*a, *(bit for field in fields for bit in field.bits), carry or ZERO]
        level = 1 + max(net.level for net in read)
        added = [ZERO] * width
        for field in fields:
            places = min(field.most.bit_length(), width - field.place)
            counts = [n.bit_count() + field.constant for n in range(2 ** len(field.bits))]
            added[field.place : field.place + places] = self._looked_up(
                field.bits, counts, places, level
            )
        self.row_bits += width + sum(len(field.bits) for field in fields)
        low = str(carry or ZERO)
        padding = [str(ZERO)] * (width - len(a))
        left = ", ".join((*padding, *map(str, reversed(a)), low))
        right = ", ".join((*map(str, reversed(added)), low))
        sum_, result = self.name(), self.name()
        self.state(
            level,
            f"wire [{width}:0] {sum_} = {{{left}}} - ~{{{right}}};",
            f"wire [{width - 1}:0] {result} = {sum_}[{width}:1];",
        )
        return [self.net(f"{result}[{bit}]", level) for bit in range(width)]

    def lookup(self, nets: Sequence[Net], values: Sequence[int], width: int) -> list[Net]:
        """The bits of values[i], i being what `nets` say, the lowest first."""
        return self._looked_up(nets, values, width, 1 + max(net.level for net in nets))

    def logic(self, text: str) -> Net:
        """The net of a Boolean expression over nets, or a constant."""
        for constant in (ZERO, ONE):
            if text == constant.name:
                return constant
        level = 1 + self.level(text)
        name = self.name()
        self.state(level, f"wire {name} = {text};")
        return self.net(name, level)

    def level(self, text: str) -> int:
        """The highest of the nets in `text`."""
        return max((self._levels[name] for name in _REFERENCE.findall(text)), default=0)

    def print(self, outputs: Sequence[Net], cycles: int) -> tuple[list[str], list[str], int]:
        """The statements, the texts of `outputs` in the last stage, and how many stages there are:
        at most `cycles`, of equally many levels."""
        deepest = max(net.level for net in outputs)
        per_stage = max(1, -(-deepest // cycles))
        printer = _Printer(
            {name: max(0, level - 1) // per_stage for name, level in self._levels.items()}
        )
        for level, text in self._statements:
            printer.print(text, max(0, level - 1) // per_stage)
        last = max(0, deepest - 1) // per_stage
        texts = [printer.at_stage(str(net), last) for net in outputs]
        return printer.lines, texts, last + 1

    def _looked_up(
        self, nets: Sequence[Net], values: Sequence[int], width: int, level: int
    ) -> list[Net]:
        if len(nets) <= 1:
            return self._single(nets, values, width)
        held, name, size = self.name(), self.name(), len(values)
        texts = ", ".join(map(str, reversed(nets)))
        lines = [
            f"wire [{len(nets) - 1}:0] {held} = {{{texts}}};",
            f"wire [{width - 1}:0] {name};",
        ]
        for bit in range(width):
            truth = sum((value >> bit & 1) << i for i, value in enumerate(values))
            constant = self.name()
            lines.append(f"localparam [{size - 1}:0] {constant} = {size}'h{truth:x};")
            lines.append(f"assign {name}[{bit}] = {constant}[{held}];")
        self.state(level, *lines)
        return [self.net(f"{name}[{bit}]", level) for bit in range(width)]

    def _single(self, nets: Sequence[Net], values: Sequence[int], width: int) -> list[Net]:
        """Of one net or none there is nothing to look up."""
        found = []
        for bit in range(width):
            truth = [value >> bit & 1 for value in values]
            constant = ONE if truth[0] else ZERO
            changes = truth[0] != truth[-1]
            found.append((~nets[0] if truth[0] else nets[0]) if changes else constant)
        return found


class _Printer:
    """Statements with registers between the stages, each made once."""

    def __init__(self, stages: dict[str, int]) -> None:
        self.lines: list[str] = []
        self._stages = stages
        self._registers: dict[tuple[str, int], str] = {}

    def print(self, text: str, stage: int) -> None:
        self.lines.append(self.at_stage(text, stage))

    def at_stage(self, text: str, stage: int) -> str:
        return _REFERENCE.sub(lambda match: self._delayed(match[1], stage), text)

    def _delayed(self, name: str, stage: int) -> str:
        assert self._stages[name] <= stage
        if self._stages[name] == stage:
            return name
        if (name, stage) not in self._registers:
            source = self._delayed(name, stage - 1)
            made = f"r{len(self._registers)}"
            self.lines.append(f"reg {made}; always @(posedge clk) if (ce) {made} <= {source};")
            self._registers[name, stage] = made
        return self._registers[name, stage]
