"""What the body of a function has read so far, and how it reads more."""

from collections.abc import Collection, Sequence

from edgetrain.compiler.expr import Dim, Expr
from edgetrain.compiler.nest import Nest, Read
from edgetrain.compiler.types import Int
from edgetrain.kernels.c.expressions import ExpressionPrinter, compute_type, storage_type
from edgetrain.kernels.c.operand import Operand
from edgetrain.kernels.c.places import place, row_and_column

_INDENT = "    "


class Scope:
    """Lines of C under loops that are open, and the names of what they know of `nest`."""

    def __init__(self, nest: Nest, operands: Sequence[Operand]) -> None:
        self._nest = nest
        self._operands = dict(zip((r.local for r in nest.reads), operands, strict=True))
        self._reads = {r.local: r for r in nest.reads}
        self._lines: list[str] = []
        self._depth = 1
        self._names: dict[Expr, str] = {}

    def _line(self, text: str) -> None:
        self._lines.append(_INDENT * self._depth + text)

    def _open(self, text: str) -> None:
        self._line(f"{text} {{".strip())
        self._depth += 1

    def _close(self) -> None:
        self._depth -= 1
        self._line("}")

    def _dim(self, name: str) -> Dim:
        return Dim(name, self._nest.sizes[name])

    def _loop(self, name: str) -> None:
        variable = dim_name(name)
        turns = self._nest.sizes[name]
        self._open(f"for (int32_t {variable} = 0; {variable} < {turns}; {variable}++)")
        self._names[self._dim(name)] = variable

    def _value(self, expr: Expr) -> str:
        """The text of `expr`, after the declarations that it needs."""
        declarations, text = ExpressionPrinter(self._names, f"t{len(self._lines)}").print(expr)
        for declaration in declarations:
            self._line(declaration)
        return text

    def _known(self, names: Sequence[str], opened: Collection[str]) -> list[Read]:
        """What can be loaded once the dims `opened` are, and is not yet."""
        reads = (self._reads[name] for name in names)
        return [
            read
            for read in reads
            if read.value not in self._names and self._nest.depends_on(read.value) <= set(opened)
        ]

    def _load(self, names: Sequence[str], opened: Collection[str]) -> None:
        for read in self._known(names, opened):
            self._declare(read, self._element(read))

    def _declare(self, read: Read, text: str) -> None:
        self._line(f"const {compute_type(read.type.scalar)} l_{read.local} = {text};")
        self._names[read.value] = f"l_{read.local}"

    def _element(self, read: Read) -> str:
        """The text that loads one element."""
        operand = self._operands[read.local]
        kind = compute_type(read.type.scalar)
        if operand.layout.bits is None:
            index = bare(self._value(place(read.access, read.type, operand.layout)))
            stored = f"{operand.pointer}[{index}]"
            return stored if kind == storage_type(read.type.scalar) else f"({kind}){stored}"
        row, column = row_and_column(read.access, read.type, operand.layout)
        return (
            f"et_field_{_sign(read)}({operand.pointer} + {self._value(row)}, "
            f"{self._value(column)}, {operand.layout.bits})"
        )

    def _point_at_row(self, name: str) -> None:
        """Declare a pointer to the packed row in which the elements of a read lie."""
        operand, read = self._operands[name], self._reads[name]
        row, _ = row_and_column(read.access, read.type, operand.layout)
        self._line(f"const uint32_t *row_{name} = {operand.pointer} + {self._value(row)};")

    def _field(self, name: str, at: str) -> str:
        """The element at a bit of the word that was loaded from its row."""
        bits = self._operands[name].layout.bits
        return f"et_part_{_sign(self._reads[name])}(word_{name}, {at}, {bits})"

    def _packed_along(
        self, dim: str, names: Sequence[str], opened: Collection[str], bits: int | None = None
    ) -> list[str]:
        """The reads whose fields, of `bits` or of the fewest there are, lie along `dim` in rows
        that are known once the dims `opened` are."""
        found: dict[str, int] = {}
        for name in names:
            access, layout = self._reads[name].access, self._operands[name].layout
            if layout.bits is None:
                continue
            fastest = layout.axes(len(access))[-1]
            others = (index for axis, index in enumerate(access) if axis != fastest)
            known = set(opened) - {dim}
            if access[fastest] == self._dim(dim) and all(
                self._nest.depends_on(index) <= known for index in others
            ):
                found[name] = layout.bits
        chosen = bits or min(found.values(), default=0)
        return [name for name, width in found.items() if width == chosen]


def bare(text: str) -> str:
    """`text` without a pair of parentheses around all of it."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0 and position < len(text) - 1:
            return text
    return text[1:-1]


def cast(expr: Expr, kind: str, text: str) -> str:
    """`text`, which is `expr`, as a C type."""
    return text if compute_type(expr.type) == kind else f"({kind}){text}"


def dim_name(name: str) -> str:
    return f"d_{name}"


def _sign(read: Read) -> str:
    """By which helper a field is read."""
    assert isinstance(read.type.scalar, Int)
    return "s" if read.type.scalar.signed else "u"
