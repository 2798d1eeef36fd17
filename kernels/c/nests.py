"""The printed scalar kernel: any nest as plain C loops.

All reads are loaded as far out as their indices allow.  Packed words are loaded and stored whole
where a loop runs along their fields, those of a fold unrolled.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from edgetrain.compiler.expr import Apply, Expr, Local
from edgetrain.compiler.layout import WORD_BITS
from edgetrain.compiler.nest import Fold, Nest, Out
from edgetrain.compiler.types import Int
from edgetrain.kernels.c.expressions import compute_type, constant, storage_type
from edgetrain.kernels.c.operand import Operand
from edgetrain.kernels.c.places import place, row_and_column
from edgetrain.kernels.c.scope import Scope, bare, cast, dim_name


class NestPrinter(Scope):
    """Prints the body of a function that computes `nest`; `point` narrows dims to one turn."""

    def __init__(
        self,
        nest: Nest,
        operands: Sequence[Operand],
        results: Sequence[Operand],
        point: Sequence[tuple[str, Expr]],
    ) -> None:
        super().__init__(nest, operands)
        self._results = results
        self._point = dict(point)

    def print(self) -> list[str]:
        """The lines of the function's body."""
        read = self._nest.needed(e for out in self._nest.outs for e in out.expressions)
        for name in self._reads:
            if name not in read:
                self._line(f"(void){self._operands[name].pointer};")
        for out, result in zip(self._nest.outs, self._results, strict=True):
            self._print_out(out, result)
        return self._lines

    def _print_out(self, out: Out, result: Operand) -> None:
        self._names = {}
        guard, out = self._guarded(out, result)
        guards = self._nest.depends_on(guard[0]) if guard else frozenset()
        wanted = self._nest.needed((*out.expressions, *(guard[:1] if guard else ())))
        # Several results are computed one after the other, each in a scope of its own.
        scoped = len(self._nest.outs) > 1
        if scoped:
            self._open("")
        outside = self._depth
        along = self._word_dim(out, result, wanted)
        opened = self._fix_point(wanted)
        if along in guards:
            along = ""
        order = sorted(set(out.dims) - set(self._point), key=out.dims.index)
        for name in sorted(order, key=lambda dim: (dim == along, dim not in guards)):
            if guard is not None and guards <= opened:
                self._open_if(*guard)
                guard = None
            if name == along:
                self._walk_words(out, result, name, wanted, opened)
            else:
                self._loop(name)
            opened = opened | {name}
            self._load(wanted, opened)
        if guard is not None:
            self._open_if(*guard)
        if out.fold is not None:
            self._print_fold(out, out.fold, wanted, opened)
        self._store(out, result, along)
        while self._depth > outside:
            self._close()
        if scoped:
            self._close()

    def _guarded(self, out: Out, result: Operand) -> tuple[tuple[Expr, bool] | None, Out]:
        """Where `out` is an update in place that keeps elements: a condition and whether it holds
        for those that change, and `out` for these alone."""
        body = out.body
        if out.fold is not None or not (isinstance(body, Apply) and body.op == "select"):
            return None, out
        condition, *choices = body.args
        access = tuple(self._dim(d) for d in out.dims)
        for position, kept in enumerate(choices):
            read = self._reads.get(kept.name) if isinstance(kept, Local) else None
            if read and read.access == access and self._operands[read.local] == result:
                return (condition, position == 1), replace(out, body=choices[1 - position])
        return None, out

    def _open_if(self, condition: Expr, wanted: bool) -> None:
        text = self._value(condition)
        self._open(f"if ({bare(text)})" if wanted else f"if (!{text})")

    def _fix_point(self, wanted: Sequence[str]) -> frozenset[str]:
        """The dims of which a single turn is taken, now known."""
        for name, index in self._point.items():
            self._load(self._nest.needed([index]), ())
            self._line(f"const int32_t {dim_name(name)} = {bare(self._value(index))};")
            self._names[self._dim(name)] = dim_name(name)
        self._load(wanted, self._point)
        return frozenset(self._point)

    def _word_dim(self, out: Out, result: Operand, wanted: Sequence[str]) -> str:
        """The dim of `out` that is taken by words and their fields; empty for none."""
        free = [d for d in out.dims if d not in self._point]
        if result.layout.bits is not None:
            fastest = out.dims[result.layout.axes(len(out.dims))[-1]]
            return fastest if fastest in free else ""
        if out.fold is not None:
            return ""
        return next((d for d in reversed(free) if self._packed_along(d, wanted, out.dims)), "")

    def _walk_words(
        self, out: Out, result: Operand, dim: str, wanted: Sequence[str], opened: Collection[str]
    ) -> None:
        """Open loops over `dim` by words, and by fields of which operands are loaded."""
        size, index = self._nest.sizes[dim], dim_name(dim)
        packed = self._packed_along(dim, wanted, opened, result.layout.bits)
        layout = result.layout if result.layout.bits else self._operands[packed[0]].layout
        for name in packed:
            self._point_at_row(name)
        self._open(f"for (int32_t w_{dim} = 0, {index} = 0; {index} < {size}; w_{dim}++)")
        for name in packed:
            self._line(f"const uint32_t word_{name} = row_{name}[w_{dim}];")
        if result.layout.bits:
            self._line("uint32_t word = 0;")
        rest = f" && {index} < {size}" if size % layout.per_word else ""
        turns = f"at_{dim} < {WORD_BITS}{rest}"
        self._open(f"for (uint32_t at_{dim} = 0; {turns}; at_{dim} += {layout.bits}, {index}++)")
        self._names[self._dim(dim)] = index
        for name in packed:
            self._declare(self._reads[name], self._field(name, f"at_{dim}"))

    def _store(self, out: Out, result: Operand, along: str) -> None:
        """Keep the element; if the fields of words `along` a dim, the word once it is whole."""
        access = [self._dim(d) for d in out.dims]
        kind, pointer, bits = self._nest.out_type(out), result.pointer, result.layout.bits
        if bits is None:
            index = place(access, kind, result.layout)
            stored = storage_type(out.type)
            value = cast(out.body, stored, self._value(out.body))
            self._line(f"{pointer}[{bare(self._value(index))}] = {bare(value)};")
            return
        value = bare(self._value(out.body))
        row, column = (self._value(e) for e in row_and_column(access, kind, result.layout))
        if along:
            self._line(f"word = word | et_placed({value}, at_{along}, {bits});")
            self._close()
            self._line(f"{pointer}[{bare(row)} + w_{along}] = word;")
        else:
            self._line(f"et_put_field({pointer} + {row}, {bare(column)}, {bits}, {value});")

    def _print_fold(
        self, out: Out, fold: Fold, wanted: Sequence[str], opened: Collection[str]
    ) -> None:
        kind = compute_type(fold.type)
        initial = cast(fold.init, kind, self._value(fold.init))
        dims = self._nest.folded_dims(out)
        lanes = fold.contract.lanes if fold.contract is not None and dims else 1
        sum_ = "acc"
        if lanes == 1:
            self._line(f"{kind} acc = {initial};")
        else:
            # The sums that the lanes of some vector unit would hold.
            zero = constant(-0.0, fold.type)
            self._line(f"{kind} acc[{lanes}] = {{{', '.join([zero] * lanes)}}};")
            sum_ = f"acc[{dim_name(dims[-1])} % {lanes}]"
        self._names[fold.result] = sum_
        names = dict(self._names)
        for name in dims[:-1]:
            self._loop(name)
            opened = {*opened, name}
            self._load(wanted, opened)
        if dims:
            packed = self._packed_along(dims[-1], wanted, opened) if lanes == 1 else []
            if packed:
                self._fold_words(fold, dims[-1], packed, wanted, opened)
            else:
                self._loop(dims[-1])
                self._load(wanted, {*opened, dims[-1]})
                self._accumulate(fold)
                self._close()
        else:
            self._accumulate(fold)
        for _ in dims[:-1]:
            self._close()
        self._names = names
        if lanes > 1:
            self._merge_lanes(lanes, initial)
            self._names[fold.result] = "acc[0]"

    def _merge_lanes(self, lanes: int, initial: str) -> None:
        self._open(f"for (int32_t by = 1; by < {lanes}; by *= 2)")
        self._open(f"for (int32_t lane = 0; lane < {lanes}; lane += 2 * by)")
        self._line("acc[lane] = acc[lane] + acc[lane + by];")
        self._close()
        self._close()
        self._line(f"acc[0] = acc[0] + {initial};")

    def _accumulate(self, fold: Fold) -> None:
        acc = self._names[fold.result]
        if fold.op == "add" and isinstance(fold.type, Int):
            # The sum is known to fit; a typed addition would widen it for nothing.
            term = cast(fold.term, compute_type(fold.type), self._value(fold.term))
            self._line(f"{acc} = {acc} + {term};")
        else:
            self._line(f"{acc} = {bare(self._value(fold.following))};")

    def _fold_words(
        self,
        fold: Fold,
        dim: str,
        packed: Sequence[str],
        wanted: Sequence[str],
        opened: Collection[str],
    ) -> None:
        """Accumulate over `dim`, one word of each packed operand at a time."""
        layout = self._operands[packed[0]].layout
        words, rest = divmod(self._nest.sizes[dim], layout.per_word)
        for name in packed:
            self._point_at_row(name)
        if words:
            self._open(f"for (int32_t w = 0; w < {words}; w++)")
            self._unroll(fold, dim, packed, wanted, opened, "w", layout.per_word)
            self._close()
        if rest:
            self._open("")
            self._unroll(fold, dim, packed, wanted, opened, str(words), rest)
            self._close()

    def _unroll(
        self,
        fold: Fold,
        dim: str,
        packed: Sequence[str],
        wanted: Sequence[str],
        opened: Collection[str],
        word: str,
        fields: int,
    ) -> None:
        layout = self._operands[packed[0]].layout
        assert layout.bits is not None
        for name in packed:
            self._line(f"const uint32_t word_{name} = row_{name}[{word}];")
        names = dict(self._names)
        for field in range(fields):
            index = f"({word} * {layout.per_word} + {field})"
            if word.isdigit():
                index = str(int(word) * layout.per_word + field)
            self._names = {**names, self._dim(dim): index}
            for name in packed:
                self._names[self._reads[name].value] = self._field(name, f"{field * layout.bits}")
            for read in self._known(wanted, {*opened, dim}):
                self._names[read.value] = self._element(read)
            self._accumulate(fold)
        self._names = names
