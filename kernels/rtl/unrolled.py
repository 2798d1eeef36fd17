"""An entry as one pipelined circuit: every weight a constant, a sample in and out every cycle."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.expr import Apply, Const, Expr, Local, subexpressions
from edgetrain.compiler.program import Entry, Program
from edgetrain.compiler.types import Int
from edgetrain.compiler.unroll import Elements, element, elements, numbers, unroll
from edgetrain.kernels.rtl.adders import share_adders
from edgetrain.kernels.rtl.circuit import ONE, ZERO, Circuit, Net
from edgetrain.kernels.rtl.expressions import VerilogPrinter, declaration, integer, only_integer
from edgetrain.kernels.rtl.linear import Columns, Linear, from_twos_complement, linear
from edgetrain.kernels.rtl.pairs import share_pairs
from edgetrain.kernels.rtl.rows import total


@dataclass(frozen=True)
class Core:
    """A module `et_core` of ports `clk`, `ce`, `x` and `y`.

    `y` is of the `x` of `latency` cycles ago; cycles in which the clock enable `ce` is 0 do not
    count, since then every register stays as it is.  Inputs and outputs of the entry follow each
    other in `x` and `y`, the first element lowest.
    """

    text: str
    latency: int


def print_core(program: Program, entry: Entry, cycles: int) -> Core:
    """In at most so many cycles, with as few adders behind each other in a cycle as that takes.

    InputError where the entry learns, reads what another one learns, or computes floats.
    """
    if entry.updates or any(name in program.initial for c in entry.calls for name in c.inputs):
        raise InputError(
            f"{entry.name} keeps a state, and the unrolled core has none",
            remedy="compile the model without --learn",
        )
    return _Unrolled(program, entry).core(cycles)


@dataclass(frozen=True)
class Steps:
    """base + how many of `thresholds`, in ascending order, are at most `value`."""

    value: Expr
    thresholds: tuple[int, ...]
    base: int


class _Unrolled:
    def __init__(self, program: Program, entry: Entry) -> None:
        self._program, self._entry = program, entry
        self._circuit = Circuit()
        self._defined: dict[str, Expr] = {}
        self._sums: dict[str, Columns] = {}
        self._bits: dict[str, tuple[Net, ...]] = {}

    def core(self, cycles: int) -> Core:
        buffers = {
            n: numbers(a, self._program.buffers[n].type) for n, a in self._program.constants.items()
        }
        place = 0
        for name in self._entry.inputs:
            buffers[name] = elements(name, self._program.buffers[name].type)
            for local in buffers[name].flat:
                width = integer(local).bits
                self._bits[local.name] = tuple(
                    self._circuit.net(f"x[{place + i}]", 0) for i in range(width)
                )
                place += width
        for call in self._entry.calls:
            results = unroll(call.nest, [buffers[name] for name in call.inputs])
            for name, result in zip(call.outputs, results, strict=True):
                buffers[name] = self._named(name, result)
        outputs = [e for name in self._entry.outputs for e in buffers[name].flat]
        kinds = [
            only_integer(self._program.buffers[name].type.scalar)
            for name in self._entry.outputs
            for _ in buffers[name].flat
        ]
        nets = [
            net
            for expr, kind in zip(outputs, kinds, strict=True)
            for net in self._stored(expr, kind)
        ]
        statements, texts, latency = self._circuit.print(nets, cycles)
        ports = (
            f"input wire clk, input wire ce, input wire [{place - 1}:0] x, "
            f"output reg [{len(nets) - 1}:0] y"
        )
        last = f"always @(posedge clk) if (ce) y <= {{{', '.join(reversed(texts))}}};"
        lines = [f"module et_core({ports});", *statements, last, "endmodule", ""]
        return Core("\n".join(lines), latency)

    def _named(self, name: str, result: Elements) -> Elements:
        """The elements as locals that are defined, but for numbers and other locals."""
        made = np.empty(result.shape, object)
        sums: dict[str, Linear] = {}
        for index in np.ndindex(result.shape):
            expr: Expr = result.item(*index)
            if isinstance(expr, Const | Local):
                made[index] = expr
                continue
            local = made[index] = Local(element(name, index), integer(expr))
            whole = linear(expr)
            if all(isinstance(term, Local) for term in whole.terms):
                sums[local.name] = whole
            else:
                self._defined[local.name] = expr
        for pair, whole in share_pairs(list(sums.values()), f"{name} pair"):
            self._sums[pair.name] = self._columns(whole)
        found = {local: self._columns(whole) for local, whole in sums.items()}
        share_adders(self._circuit, list(found.values()))
        self._sums |= found
        return made

    def _columns(self, whole: Linear) -> Columns:
        columns = Columns(whole.constant)
        for term, times in whole.terms.items():
            columns.add(times, from_twos_complement(self._vector(term), integer(term)))
        return columns

    def _stored(self, expr: Expr, kind: Int) -> list[Net]:
        """The bits of an output of this range."""
        bits = self._vector(expr)
        own = integer(expr)
        sign = bits[-1] if own.signed else ZERO
        return [*bits, *[sign] * (kind.bits - len(bits))]

    def _vector(self, expr: Expr) -> tuple[Net, ...]:
        """The bits of a number or local, lowest first, as a wire of its range has them."""
        if isinstance(expr, Const):
            kind = integer(expr)
            return tuple(ONE if int(expr.value) >> i & 1 else ZERO for i in range(kind.bits))
        assert isinstance(expr, Local)
        if expr.name not in self._bits:
            self._bits[expr.name] = self._made(expr)
        return self._bits[expr.name]

    def _made(self, local: Local) -> tuple[Net, ...]:
        kind = integer(local)
        if local.name in self._sums:
            return total(self._circuit, self._sums[local.name], 0, kind.bits)
        expr = self._defined[local.name]
        steps = staircase(expr)
        if steps is not None and isinstance(steps.value, Local):
            return self._climbed(steps.value, steps, kind)
        return self._printed(expr, kind)

    def _climbed(self, value: Local, steps: Steps, kind: Int) -> tuple[Net, ...]:
        """The bits of a staircase, the highest first found: the sum is moved so that the threshold
        in the middle is a power of two, and its highest bit the answer."""
        own = integer(value)
        finite = [t for t in steps.thresholds if own.lo < t <= own.hi]
        always = steps.base + sum(t <= own.lo for t in steps.thresholds)
        if not finite:
            return tuple(ONE if always >> i & 1 else ZERO for i in range(kind.bits))
        levels = [-inf] * always + list(map(float, finite))
        levels += [inf] * (2**kind.bits - 1 - len(levels))
        middle = levels[2 ** (kind.bits - 1) - 1]
        pivot = finite[len(finite) // 2] if abs(middle) == inf else int(middle)
        width = max(pivot - own.lo - 1, own.hi - pivot).bit_length() + 1
        moved = 2 ** (width - 1) - pivot
        columns = self._sums.get(value.name) or self._columns(linear(value))
        bits = total(self._circuit, columns, moved, width)
        texts = list(map(str, bits))
        found: list[Net] = []
        for place in reversed(range(kind.bits)):
            text = _bit(texts, [t + moved for t in levels], list(map(str, found)), place)
            found.append(bits[-1] if text == texts[-1] else self._circuit.logic(text))
        return tuple(reversed(found))

    def _printed(self, expr: Expr, kind: Int) -> tuple[Net, ...]:
        """Any other expression, as a synthesiser finds best."""
        circuit = self._circuit
        names: dict[Expr, str] = {}
        held = []
        for node in subexpressions(expr):
            if isinstance(node, Local):
                texts = ", ".join(map(str, reversed(self._vector(node))))
                names[node] = circuit.name()
                held.append(f"{declaration(integer(node), names[node])} = {{{texts}}};")
        lines, text = VerilogPrinter(names, circuit.name() + "t").print(expr)
        level = 1 + max(map(circuit.level, held), default=0)
        result = circuit.name()
        circuit.state(level, *held, *lines, f"{declaration(kind, result)} = {text};")
        return tuple(circuit.net(f"{result}[{i}]", level) for i in range(kind.bits))


def staircase(expr: Expr) -> Steps | None:
    """`expr` as one, if it is a sum of comparisons of one value with numbers."""
    whole = linear(expr)
    thresholds = []
    values = set()
    for term, times in whole.terms.items():
        match term:
            case Apply(op="le" | "lt" as op, args=(Const(value=limit), value)):
                thresholds += [int(limit) + (op == "lt")] * times
                values.add(value)
            case _:
                return None
        if times < 0:
            return None
    if len(values) != 1 or whole.constant < 0:
        return None
    return Steps(values.pop(), tuple(sorted(thresholds)), whole.constant)


def _bit(sum_: Sequence[str], levels: Sequence[float], above: Sequence[str], place: int) -> str:
    """Bit `place` of how many of `levels` are at most the sum, the bits `above` being known, the
    highest first."""

    def at(prefix: int, known: int) -> str:
        if known == len(above):
            threshold = levels[(prefix << place + 1) + 2**place - 1]
            return _at_least(sum_, threshold)
        one, zero = at(2 * prefix + 1, known + 1), at(2 * prefix, known + 1)
        return one if one == zero else f"({above[known]} ? {one} : {zero})"

    return at(0, 0)


def _at_least(bits: Sequence[str], threshold: float) -> str:
    """Whether the number of `bits` is at least that."""
    if threshold <= 0:
        return ONE.name
    if threshold >= 2 ** len(bits):
        return ZERO.name
    limit = int(threshold)
    low = (limit & -limit).bit_length() - 1
    text = bits[low]
    for place in range(low + 1, len(bits)):
        text = f"({bits[place]} {'&' if limit >> place & 1 else '|'} {text})"
    return text
