"""Expressions over integers as C++: a constant a node, of exactly the bits of its range.

The arithmetic operators of `ap_int` give types that hold every result, whatever their operands;
what is a helper in C is here a template of the same name over the working type (et_hls.h).
"""

from collections.abc import Mapping, Sequence

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.expr import (
    Apply,
    Const,
    Expr,
    argument_types,
    subexpressions,
    working_type,
)
from edgetrain.compiler.primitives import PRIMITIVES
from edgetrain.compiler.types import Float, Int, Scalar
from edgetrain.kernels.rtl.forms import number

_OF_ONE_TYPE = ("eq", "le", "lt", "select")
"""Whose operands are brought to the working type: ap_int.h compares in the bits of the wider one,
in which a negative number may be equal to another."""


def integer(kind: Scalar) -> Int:
    """`kind` itself; InputError for a float, of which there is no HLS form."""
    if isinstance(kind, Float):
        raise InputError(
            f"{kind.name} has no HLS form",
            remedy="give a quantised model, and --precision integer where it learns",
        )
    return kind


def ap_type(kind: Scalar) -> str:
    """The C++ type that holds exactly the bits of this range."""
    own = integer(kind)
    return f"ap_{'int' if own.signed else 'uint'}<{own.bits}>"


def literal(value: int, kind: Scalar) -> str:
    """`value` in the type of this range."""
    return f"{ap_type(kind)}({number(value)})"


class HlsPrinter:
    """Prints expressions over what `names` holds; every other node becomes a constant of its own.

    Constants are numbered on, so that no two of a function share a name.
    """

    def __init__(self) -> None:
        self.names: dict[Expr, str] = {}
        self._count = 0

    def print(self, expr: Expr) -> tuple[list[str], str]:
        """(declarations, text) of `expr`."""
        lines: list[str] = []
        for node in subexpressions(expr):
            if node in self.names:
                continue
            kind = integer(node.type)
            if isinstance(node, Const):
                self.names[node] = literal(int(node.value), kind)
            elif isinstance(node, Apply):
                name = f"t_{self._count}"
                self._count += 1
                text = _apply(node, self.names)
                lines.append(f"const {ap_type(kind)} {name} = {text};")
                self.names[node] = name
            else:
                raise KeyError(f"{node} has no name")
        return lines, self.names[expr]


def _apply(node: Apply, names: Mapping[Expr, str]) -> str:
    texts: Sequence[str] = [names[argument] for argument in node.args]
    if node.op in _OF_ONE_TYPE:
        arguments = zip(node.args, argument_types(node), texts, strict=True)
        texts = [_converted(*argument) for argument in arguments]
    return PRIMITIVES[node.op].c.format(*texts, w=f"ap<{ap_type(working_type(node))} >")


def _converted(expr: Expr, wanted: Scalar, text: str) -> str:
    """`text`, which is `expr`, in the type of another range that holds it."""
    if isinstance(expr, Const):
        return literal(int(expr.value), wanted)
    kind = ap_type(wanted)
    return text if kind == ap_type(expr.type) else f"{kind}({text})"
