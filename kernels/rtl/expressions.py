"""Expressions over integers as Verilog-2001: a wire a node, of exactly the bits of its range.

An integer that is never negative is an unsigned wire; where it is computed with, it gets a zero in
front and is signed like all others, so that Verilog's rule of mixed signs never applies.
"""

from collections.abc import Mapping, Sequence

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.expr import Apply, Const, Expr, subexpressions
from edgetrain.compiler.primitives import PRIMITIVES
from edgetrain.compiler.types import Float, Int, Scalar


def integer(expr: Expr) -> Int:
    """The range of `expr`; InputError for a float, of which there is no RTL."""
    return only_integer(expr.type)


def only_integer(kind: Scalar) -> Int:
    """`kind`, a range; InputError for a float, of which there is no RTL."""
    if isinstance(kind, Float):
        raise InputError(
            f"{kind.name} has no RTL",
            remedy="give a quantised model, and --precision integer where it learns",
        )
    return kind


def declaration(kind: Int, name: str, net: str = "wire") -> str:
    """Of a net of this range, without the semicolon."""
    signed = " signed" if kind.signed else ""
    return f"{net}{signed} [{kind.bits - 1}:0] {name}"


def literal(value: int, kind: Int) -> str:
    """`value` as a net of this range would hold it."""
    return f"{kind.bits}'h{value % 2**kind.bits:x}"


def as_signed(text: str, kind: Int) -> str:
    """The net or literal `text` of this range, as a signed operand."""
    return f"$signed({text})" if kind.signed else f"$signed({{1'b0, {text}}})"


class VerilogPrinter:
    """Prints expressions over named nets; every other node becomes a net of its own.

    `names` are the nets that hold nodes already, of the bits of their ranges; `printed` are the
    operations that have got one.
    """

    def __init__(self, names: Mapping[Expr, str], prefix: str = "t") -> None:
        self._names = dict(names)
        self._prefix = prefix
        self._count = 0
        self.printed: list[Apply] = []

    def define(self, node: Expr, net: str) -> None:
        """From now on `node` is the net of that name."""
        self._names[node] = net

    def print(self, expr: Expr) -> tuple[list[str], str]:
        """(statements, text) of `expr`: the net or the literal that holds it."""
        lines: list[str] = []
        for node in subexpressions(expr):
            if node in self._names:
                continue
            kind = integer(node)
            if isinstance(node, Const):
                self._names[node] = literal(int(node.value), kind)
            elif isinstance(node, Apply):
                name = f"{self._prefix}_{self._count}"
                self._count += 1
                text = _apply(node, [self._names[a] for a in node.args])
                lines.append(f"{declaration(kind, name)} = {text};")
                self._names[node] = name
                self.printed.append(node)
            else:
                raise KeyError(f"{node} has no net")
        return lines, self._names[expr]


def _apply(node: Apply, nets: Sequence[str]) -> str:
    text = PRIMITIVES[node.op].verilog
    kinds = [integer(argument) for argument in node.args]
    if text is None:
        raise InputError(
            f"{node.op} has no RTL", remedy="give --precision integer where the network learns"
        )
    operands = [as_signed(net, kind) for net, kind in zip(nets, kinds, strict=True)]
    ones = [f"{nets[0]}[{bit}]" for bit in range(kinds[0].bits)]
    return text.format(*operands, ones=" + ".join(ones))
