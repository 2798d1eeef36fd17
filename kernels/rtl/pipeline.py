"""Nets of a pipeline: each is there some stages after the turn began, and registers bring it to
later ones."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edgetrain.compiler.expr import Expr, Local, subexpressions
from edgetrain.compiler.types import Int
from edgetrain.kernels.rtl.expressions import VerilogPrinter, declaration, integer
from edgetrain.kernels.rtl.parts import parts_of


@dataclass(frozen=True, slots=True)
class Signal:
    """Bits, from `low` on, of a net of `width` bits; `stage` None where it does not change while a
    unit works."""

    net: str
    width: int
    stage: int | None = None
    low: int = 0


class Pipeline:
    """Statements of one module under construction; what a clock moves is delayed once for all.

    `parts` counts what they are made of, as kernels.rtl.parts has it.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.parts: Counter[str] = Counter()
        self._count = 0
        self._delayed: dict[tuple[str, int], str] = {}

    def name(self, prefix: str = "n") -> str:
        """A new one."""
        self._count += 1
        return f"{prefix}{self._count}"

    def delayed(self, net: str, width: int, stages: int) -> str:
        """The net that is `net` so many clock edges later, and 0 after a reset: which also keeps
        synthesisers from shift registers, that would take a look-up table for each bit."""
        for turn in range(1, stages + 1):
            if (net, turn) not in self._delayed:
                before = self._delayed[net, turn - 1] if turn > 1 else net
                name = self.name(f"{net}_d")
                self.lines.append(f"reg [{width - 1}:0] {name};")
                self.lines.append(f"always @(posedge clk) {name} <= rst ? 0 : {before};")
                self._delayed[net, turn] = name
        return self._delayed[net, stages] if stages else net

    def wire(self, kind: Int, text: str, prefix: str = "n") -> str:
        """A new net of this range that is `text`."""
        name = self.name(prefix)
        self.lines.append(f"{declaration(kind, name)} = {text};")
        return name

    def register(self, kind: Int, text: str) -> str:
        """A new net of this range that is `text` a clock edge later."""
        name = self.name("r")
        self.lines.append(f"{declaration(kind, name, 'reg')};")
        self.lines.append(f"always @(posedge clk) {name} <= {text};")
        return name


class Values:
    """Expressions over locals whose nets are known, at any stage of a pipeline."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._signals: dict[Expr, Signal] = {}
        self._printers: dict[int, VerilogPrinter] = {}
        self._known: set[tuple[Expr, int]] = set()

    def define(self, local: Local, signal: Signal) -> None:
        """`local` is that signal."""
        self._signals[local] = signal

    def stage(self, *expressions: Expr) -> int:
        """The first at which all locals of them are there."""
        stages = (
            self._signals[node].stage
            for expr in expressions
            for node in subexpressions(expr)
            if isinstance(node, Local)
        )
        return max((stage for stage in stages if stage is not None), default=0)

    def text(self, expr: Expr, stage: int) -> str:
        """The net or literal that is `expr` at that stage."""
        if stage not in self._printers:
            self._printers[stage] = VerilogPrinter({}, self._pipeline.name("t"))
        printer = self._printers[stage]
        for node in subexpressions(expr):
            if isinstance(node, Local) and (node, stage) not in self._known:
                self._known.add((node, stage))
                printer.define(node, self._at(self._signals[node], integer(node), stage))
        before = len(printer.printed)
        lines, text = printer.print(expr)
        self._pipeline.lines += lines
        for node in printer.printed[before:]:
            self._pipeline.parts.update(parts_of(node))
        return text

    def _at(self, signal: Signal, kind: Int, stage: int) -> str:
        net = signal.net
        if signal.stage is not None:
            net = self._pipeline.delayed(net, signal.width, stage - signal.stage)
        if kind.bits == signal.width:
            return net
        return self._pipeline.wire(kind, f"{net}[{signal.low} +: {kind.bits}]")


def concatenated(texts: Sequence[str]) -> str:
    """Nets or literals as one, the first one highest."""
    return texts[0] if len(texts) == 1 else f"{{{', '.join(texts)}}}"
