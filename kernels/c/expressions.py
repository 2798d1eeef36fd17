"""Expressions as C: every node in the smallest of int32_t and int64_t that holds it, or a float."""

from collections import Counter
from collections.abc import Mapping, Sequence

from edgetrain.compiler.expr import (
    Apply,
    Const,
    Expr,
    argument_types,
    subexpressions,
    working_type,
)
from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.primitives import PRIMITIVES
from edgetrain.compiler.types import BOOL, INT32, Float, Scalar

# C99 has no literals for these, and its math.h does not belong to a freestanding implementation.
_NOT_FINITE = {"inf": "(1.0f / 0.0f)", "-inf": "(-1.0f / 0.0f)", "nan": "(0.0f / 0.0f)"}


def compute_type(scalar: Scalar) -> str:
    """The C type in which values of `scalar` are computed."""
    if isinstance(scalar, Float):
        return {16: "et_half", 32: "float"}[scalar.bits]
    return "int32_t" if INT32.holds(scalar) else "int64_t"


def storage_type(scalar: Scalar) -> str:
    """The C type in which elements of `scalar` are stored."""
    if isinstance(scalar, Float):
        return compute_type(scalar)
    return f"{storage_dtype(scalar).name}_t"


def constant(value: int | float, scalar: Scalar) -> str:
    """A literal of `compute_type(scalar)`, exact."""
    if isinstance(scalar, Float):
        digits = float(value).hex()
        text = _NOT_FINITE.get(digits, f"{digits}f")
        if scalar.bits == 16:
            # Every FLOAT16 is a float; C99 has no literals of its own for it.
            return f"((et_half){text})"
        return f"({text})" if text.startswith("-") else text
    number = int(value)
    if compute_type(scalar) == "int32_t":
        # -2147483648 is no literal in C: the minus applies to a number that does not fit.
        return (
            str(number)
            if number >= 0
            else f"({number + 1} - 1)"
            if number == INT32.lo
            else (f"({number})")
        )
    if number == -(2**63):
        return "(-INT64_C(9223372036854775807) - 1)"
    return f"INT64_C({number})" if number >= 0 else f"(-INT64_C({-number}))"


def _width(scalar: Scalar) -> str:
    return {"int32_t": "32", "int64_t": "64", "float": "f32", "et_half": "f16"}[
        compute_type(scalar)
    ]


class ExpressionPrinter:
    """Prints expressions over named C variables; shared nodes become variables of their own.

    `declare(type, text)` adds a declaration before the statement and returns the variable.
    """

    def __init__(self, names: Mapping[Expr, str], prefix: str = "t") -> None:
        self._names = dict(names)
        self._prefix = prefix
        self._count = 0

    def print(self, expr: Expr) -> tuple[list[str], str]:
        """(declarations, text) of `expr`, which has the type `compute_type(expr.type)`."""
        nodes = list(subexpressions(expr))
        uses = Counter(a for n in nodes if isinstance(n, Apply) for a in n.args)
        texts: dict[Expr, str] = {}
        declarations: list[str] = []
        for node in nodes:
            if node in self._names:
                texts[node] = self._names[node]
            elif isinstance(node, Const):
                texts[node] = constant(node.value, node.type)
            elif isinstance(node, Apply):
                text = apply_text(node, [texts[a] for a in node.args])
                if uses[node] > 1 and node.op != "assume":
                    name = f"{self._prefix}_{self._count}"
                    self._count += 1
                    declarations.append(f"const {compute_type(node.type)} {name} = {text};")
                    self._names[node] = text = name
                texts[node] = text
            else:
                raise KeyError(f"{node} has no name")
        return declarations, texts[expr]


def apply_text(node: Apply, arguments: Sequence[str]) -> str:
    """`node` of arguments that are C texts of their own compute types."""
    cast = []
    for text, argument, wanted in zip(arguments, node.args, argument_types(node), strict=True):
        kind = compute_type(wanted)
        cast.append(text if compute_type(argument.type) == kind else f"({kind}){text}")
    working = working_type(node)
    text = PRIMITIVES[node.op].c.format(*cast, w=_width(working))
    computed = compute_type(node.args[0].type if node.op == "assume" else working)
    if computed == "int64_t" and compute_type(node.type) == "int32_t" and node.type != BOOL:
        return f"(int32_t){text}"
    return text
