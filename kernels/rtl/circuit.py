"""A pipelined network of look-up tables and rows of adders, bit by bit, as Verilog.

It is written for FPGAs whose carry chains add a wire to any function of five others in one
look-up table a bit, as AMD's do; any synthesiser reads it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MOST_INPUTS = 5
"""Of a function that is added to a wire in one look-up table of six."""


@dataclass(frozen=True, slots=True, order=True)
class Net:
    """A wire, or its complement; it is there `stage` clock edges after the inputs."""

    name: str
    stage: int
    inverted: bool = False

    def __invert__(self) -> "Net":
        constants = {ZERO: ONE, ONE: ZERO}
        return constants.get(self) or Net(self.name, self.stage, not self.inverted)


ZERO, ONE = Net("1'b0", 0), Net("1'b1", 0)


def is_constant(net: Net) -> bool:
    return net.name in (ZERO.name, ONE.name)


class Circuit:
    """Statements of one module under construction.

    Nets are brought to the stage at which they are needed by registers, each made once.  Their
    names begin with `prefix`.
    """

    def __init__(self, prefix: str = "n") -> None:
        self.lines: list[str] = []
        self.row_bits = 0
        self._prefix = prefix
        self._count = 0
        self._delayed: dict[str, Net] = {}

    def name(self) -> str:
        """A new one."""
        self._count += 1
        return f"{self._prefix}{self._count}"

    def at(self, net: Net, stage: int) -> str:
        """The text of `net` at a stage that is not before its own."""
        if is_constant(net):
            return net.name
        assert stage >= net.stage
        plain = Net(net.name, net.stage)
        for _ in range(stage - net.stage):
            plain = self._register(plain)
        return f"~{plain.name}" if net.inverted else plain.name

    def row(
        self, a: Sequence[Net], added: Sequence[Net], carry: Net | None, stage: int, width: int
    ) -> list[Net]:
        """The lowest `width` bits of a + how many of `added` (at most five) are 1 + `carry`.

        `a`, lowest bit first, and `carry` are not inverted.  It is written as a difference, whose
        operands synthesisers do not swap: so it is `a` that the carry chain takes as it is.  In
        front of the lowest place there is one more, which only makes the carry.
        """
        assert len(added) <= MOST_INPUTS
        count = self._counted([self.at(net, stage) for net in added])
        a_text = [self.at(net, stage) for net in reversed(a)]
        low = self.at(carry, stage) if carry is not None else ZERO.name
        padding = [ZERO.name] * (width - len(a))
        count = count[:width]
        missing = [ZERO.name] * (width - len(count))
        sum_, result = self.name(), self.name()
        left = ", ".join((*padding, *a_text, low))
        right = ", ".join((*missing, *reversed(count), low))
        self.lines.append(f"wire [{width}:0] {sum_} = {{{left}}} - ~{{{right}}};")
        self.lines.append(f"wire [{width - 1}:0] {result} = {sum_}[{width}:1];")
        self.row_bits += width + len(added)
        return [Net(f"{result}[{bit}]", stage) for bit in range(width)]

    def table(self, text: str, stage: int) -> Net:
        """The net of a Boolean expression over texts of `at`, or a constant."""
        for constant in (ZERO, ONE):
            if text == constant.name:
                return constant
        name = self.name()
        self.lines.append(f"wire {name} = {text};")
        return Net(name, stage)

    def _counted(self, texts: Sequence[str]) -> list[str]:
        """How many of `texts` are 1, lowest bit first."""
        if not texts:
            return []
        if len(texts) == 1:
            return list(texts)
        name, width = self.name(), len(texts).bit_length()
        held = self.name()
        self.lines.append(f"wire [{len(texts) - 1}:0] {held} = {{{', '.join(texts)}}};")
        self.lines.append(f"wire [{width - 1}:0] {name};")
        for bit in range(width):
            truth = sum((n.bit_count() >> bit & 1) << n for n in range(2 ** len(texts)))
            constant = self.name()
            size = 2 ** len(texts)
            self.lines.append(f"localparam [{size - 1}:0] {constant} = {size}'h{truth:x};")
            self.lines.append(f"assign {name}[{bit}] = {constant}[{held}];")
        return [f"{name}[{bit}]" for bit in range(width)]

    def _register(self, net: Net) -> Net:
        if net.name not in self._delayed:
            name = self.name()
            self.lines.append(f"reg {name}; always @(posedge clk) if (ce) {name} <= {net.name};")
            self._delayed[net.name] = Net(name, net.stage + 1)
        return self._delayed[net.name]
