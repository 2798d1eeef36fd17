"""The printed scalar kernel: any nest as plain C loops.

All reads are loaded as far out as their indices allow; a fold over packed words takes a word at a
time, its fields unrolled.
"""

from collections.abc import Sequence

from edgetrain.compiler.expr import Dim, Expr, add, lift, mul
from edgetrain.compiler.layout import Layout
from edgetrain.compiler.nest import Fold, Nest, Out, Read
from edgetrain.compiler.types import Int
from edgetrain.kernels.c.expressions import ExpressionPrinter, compute_type, constant, storage_type
from edgetrain.kernels.c.operand import Operand

_INDENT = "    "


class NestPrinter:
    """Prints the body of a function that computes `nest`; `point` narrows dims to one turn."""

    def __init__(
        self,
        nest: Nest,
        operands: Sequence[Operand],
        results: Sequence[Operand],
        point: Sequence[tuple[str, Expr]],
    ) -> None:
        self._nest = nest
        self._operands = dict(zip((r.local for r in nest.reads), operands, strict=True))
        self._reads = {r.local: r for r in nest.reads}
        self._results = results
        self._point = dict(point)
        self._lines: list[str] = []
        self._depth = 1
        self._names: dict[Expr, str] = {}

    def print(self) -> list[str]:
        """The lines of the function's body."""
        read = self._nest.needed(e for out in self._nest.outs for e in out.expressions)
        for name in self._reads:
            if name not in read:
                self._line(f"(void){self._operands[name].pointer};")
        for out, result in zip(self._nest.outs, self._results, strict=True):
            self._print_out(out, result)
        return self._lines

    def _line(self, text: str) -> None:
        self._lines.append(_INDENT * self._depth + text)

    def _open(self, text: str) -> None:
        self._line(f"{text} {{".strip())
        self._depth += 1

    def _close(self) -> None:
        self._depth -= 1
        self._line("}")

    def _print_out(self, out: Out, result: Operand) -> None:
        self._names = {}
        wanted = self._nest.needed(out.expressions)
        # Several results are computed one after the other, each in a scope of its own.
        scoped = len(self._nest.outs) > 1
        if scoped:
            self._open("")
        closing = [d for d in out.dims if d not in self._point]
        for name, index in self._point.items():
            self._load(wanted, frozenset(), self._nest.needed([index]))
            dim = Dim(name, self._nest.sizes[name])
            self._line(f"const int32_t {_dim_name(name)} = {_bare(self._value(index))};")
            self._names[dim] = _dim_name(name)
        opened = set(self._point)
        self._load(wanted, frozenset(opened))
        for name in closing:
            self._loop(name, str(self._nest.sizes[name]))
            opened.add(name)
            self._load(wanted, frozenset(opened))
        if out.fold is not None:
            self._print_fold(out, out.fold, wanted, opened)
        index = _flat(
            [Dim(d, self._nest.sizes[d]) for d in out.dims],
            [self._nest.sizes[d] for d in out.dims],
            result.layout,
        )
        value = self._value(out.body)
        stored = storage_type(out.type)
        cast = value if compute_type(out.body.type) == stored else f"({stored}){value}"
        self._line(f"{result.pointer}[{_bare(self._value(index))}] = {_bare(cast)};")
        for _ in closing:
            self._close()
        if scoped:
            self._close()

    def _loop(self, name: str, turns: str) -> None:
        variable = _dim_name(name)
        self._open(f"for (int32_t {variable} = 0; {variable} < {turns}; {variable}++)")
        self._names[Dim(name, self._nest.sizes[name])] = variable

    def _load(
        self, wanted: Sequence[str], opened: frozenset[str], only: Sequence[str] | None = None
    ) -> None:
        """Load the reads of `wanted` whose indices are known once the dims `opened` are."""
        for name in wanted if only is None else only:
            read = self._reads[name]
            if read.value not in self._names and self._nest.depends_on(read.value) <= opened:
                element = self._element(read)
                self._line(
                    f"const {compute_type(read.type.scalar)} {_local_name(name)} = {element};"
                )
                self._names[read.value] = _local_name(name)

    def _element(self, read: Read) -> str:
        """The text that loads one element."""
        operand = self._operands[read.local]
        kind = compute_type(read.type.scalar)
        if operand.layout.bits is None:
            index = _bare(self._value(_flat(read.access, read.type.shape, operand.layout)))
            stored = f"{operand.pointer}[{index}]"
            return stored if kind == storage_type(read.type.scalar) else f"({kind}){stored}"
        row, column = _row_and_column(read, operand.layout)
        return (
            f"et_field_{_sign(read)}({operand.pointer} + {self._value(row)}, "
            f"{self._value(column)}, {operand.layout.bits})"
        )

    def _value(self, expr: Expr) -> str:
        declarations, text = ExpressionPrinter(self._names, f"t{len(self._lines)}").print(expr)
        for declaration in declarations:
            self._line(declaration)
        return text

    def _print_fold(self, out: Out, fold: Fold, wanted: Sequence[str], opened: set[str]) -> None:
        kind = compute_type(fold.type)
        initial = _cast(fold.init, kind, self._value(fold.init))
        dims = self._nest.folded_dims(out)
        lanes = fold.contract.lanes if fold.contract is not None and dims else 1
        sum_ = "acc"
        if lanes == 1:
            self._line(f"{kind} acc = {initial};")
        else:
            # The sums that the lanes of some vector unit would hold.
            zero = constant(-0.0, fold.type)
            self._line(f"{kind} acc[{lanes}] = {{{', '.join([zero] * lanes)}}};")
            sum_ = f"acc[{_dim_name(dims[-1])} % {lanes}]"
        self._names[fold.result] = sum_
        names = dict(self._names)
        for name in dims[:-1]:
            self._loop(name, str(self._nest.sizes[name]))
            opened = opened | {name}
            self._load(wanted, frozenset(opened))
        if dims:
            packed = self._packed_along(dims[-1], wanted)
            if packed:
                self._fold_words(fold, dims[-1], packed, wanted, opened)
            else:
                self._loop(dims[-1], str(self._nest.sizes[dims[-1]]))
                self._load(wanted, frozenset(opened | {dims[-1]}))
                self._accumulate(fold)
                self._close()
        else:
            self._accumulate(fold)
        for _ in dims[:-1]:
            self._close()
        self._names = names
        if lanes > 1:
            self._open(f"for (int32_t by = 1; by < {lanes}; by *= 2)")
            self._open(f"for (int32_t lane = 0; lane < {lanes}; lane += 2 * by)")
            self._line("acc[lane] = acc[lane] + acc[lane + by];")
            self._close()
            self._close()
            self._line(f"acc[0] = acc[0] + {initial};")
            self._names[fold.result] = "acc[0]"

    def _accumulate(self, fold: Fold) -> None:
        acc = self._names[fold.result]
        if fold.op == "add" and isinstance(fold.type, Int):
            # The sum is known to fit; a typed addition would widen it for nothing.
            term = _cast(fold.term, compute_type(fold.type), self._value(fold.term))
            self._line(f"{acc} = {acc} + {term};")
        else:
            self._line(f"{acc} = {_bare(self._value(fold.following))};")

    def _packed_along(self, dim: str, wanted: Sequence[str]) -> list[str]:
        """The packed reads whose fields lie along `dim`."""
        index = Dim(dim, self._nest.sizes[dim])
        found = []
        for name in wanted:
            read, layout = self._reads[name], self._operands[name].layout
            if layout.bits is None:
                continue
            fastest = read.access[layout.axes(len(read.access))[-1]]
            others = [i for i in read.access if i is not fastest]
            if fastest == index and all(dim not in self._nest.depends_on(i) for i in others):
                found.append(name)
        fields = {self._operands[name].layout.bits for name in found}
        return found if len(fields) == 1 else []

    def _fold_words(
        self, fold: Fold, dim: str, packed: Sequence[str], wanted: Sequence[str], opened: set[str]
    ) -> None:
        """Accumulate over `dim`, one word of each packed operand at a time."""
        size = self._nest.sizes[dim]
        per_word = self._operands[packed[0]].layout.per_word
        words, rest = divmod(size, per_word)
        rows = {}
        for name in packed:
            row, _ = _row_and_column(self._reads[name], self._operands[name].layout)
            rows[name] = f"row_{name}"
            pointer = self._operands[name].pointer
            self._line(f"const uint32_t *{rows[name]} = {pointer} + {self._value(row)};")
        if words:
            self._open(f"for (int32_t w = 0; w < {words}; w++)")
            self._unroll(fold, dim, packed, wanted, opened, rows, "w", per_word)
            self._close()
        if rest:
            self._open("")
            self._unroll(fold, dim, packed, wanted, opened, rows, str(words), rest)
            self._close()

    def _unroll(
        self,
        fold: Fold,
        dim: str,
        packed: Sequence[str],
        wanted: Sequence[str],
        opened: set[str],
        rows: dict[str, str],
        word: str,
        fields: int,
    ) -> None:
        layout = self._operands[packed[0]].layout
        for name in packed:
            self._line(f"const uint32_t word_{name} = {rows[name]}[{word}];")
        names, index = dict(self._names), Dim(dim, self._nest.sizes[dim])
        for field in range(fields):
            first = str(int(word) * layout.per_word + field) if word.isdigit() else ""
            self._names = {**names, index: first or f"({word} * {layout.per_word} + {field})"}
            for name in packed:
                read = self._reads[name]
                text = f"et_field_{_sign(read)}(&word_{name}, {field}, {layout.bits})"
                self._names[read.value] = text
            for name in wanted:
                read = self._reads[name]
                if read.value not in self._names and self._nest.depends_on(read.value) <= {
                    *opened,
                    dim,
                }:
                    self._names[read.value] = self._element(read)
            self._accumulate(fold)
        self._names = names


def _bare(text: str) -> str:
    """`text` without a pair of parentheses around all of it."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0 and position < len(text) - 1:
            return text
    return text[1:-1]


def _dim_name(name: str) -> str:
    return f"d_{name}"


def _local_name(name: str) -> str:
    return f"l_{name}"


def _sign(read: Read) -> str:
    assert isinstance(read.type.scalar, Int)
    return "s" if read.type.scalar.signed else "u"


def _cast(expr: Expr, kind: str, text: str) -> str:
    return text if compute_type(expr.type) == kind else f"({kind}){text}"


def _flat(access: Sequence[Expr], shape: Sequence[int], layout: Layout) -> Expr:
    """The position of an element among the storage elements of a buffer."""
    position: Expr = lift(0)
    for axis in layout.axes(len(shape)):
        position = _plus(_times(position, shape[axis]), access[axis])
    return position


def _row_and_column(read: Read, layout: Layout) -> tuple[Expr, Expr]:
    """(first word of the row, field within the row) of an element of a packed buffer."""
    *slow, fastest = layout.axes(len(read.access))
    row: Expr = lift(0)
    for axis in slow:
        row = _plus(_times(row, read.type.shape[axis]), read.access[axis])
    return _times(row, layout.row_words(read.type)), read.access[fastest]


def _plus(a: Expr, b: Expr) -> Expr:
    return b if a == lift(0) else a if b == lift(0) else add(a, b)


def _times(a: Expr, factor: int) -> Expr:
    return a if factor == 1 or a == lift(0) else mul(a, factor)
