"""One call as a C++ function: the loops of its folding, and its lanes unrolled within them."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from edgetrain.compiler.expr import Dim, Expr
from edgetrain.compiler.folding import Folding, Loop, loops
from edgetrain.compiler.nest import Fold, Out
from edgetrain.compiler.program import Call
from edgetrain.kernels.hls.expressions import HlsPrinter, ap_type

_INDENT = "    "


class UnitPrinter:
    """Prints the body of a function that carries out `call` on arrays and scalars of these names.

    An operand that is a result too is a state that is overwritten in place.
    """

    def __init__(
        self, call: Call, folding: Folding, operands: Sequence[str], results: Sequence[str]
    ) -> None:
        self._call, self._nest, self._folding = call, call.nest, folding
        self._reads = {r.local: (r, o) for r, o in zip(call.nest.reads, operands, strict=True)}
        self._results = results
        self._printer = HlsPrinter()
        self._at: dict[str, str] = {}
        """Of each dim that is known, its turn as an `int`."""
        self._lines: list[str] = []
        self._depth = 1

    def print(self) -> list[str]:
        """The lines of the function's body."""
        needed = self._nest.needed(e for out in self._nest.outs for e in out.expressions)
        needed += self._nest.needed(index for _, index in self._call.point)
        unread = {operand for _, operand in self._reads.values()}
        unread -= {self._reads[name][1] for name in needed}
        for operand in sorted(unread - {*self._results}):
            self._line(f"(void){operand};")
        several = len(self._nest.outs) > 1
        for out, result in zip(self._nest.outs, self._results, strict=True):
            with self._block() if several else ExitStack():
                self._print_out(out, result, alone=not several)
        return self._lines

    def _print_out(self, out: Out, result: str, *, alone: bool) -> None:
        plan = loops(self._call, out, self._folding)
        for name, index in self._call.point:
            self._fix(name, index)
        pe = plan.free[-1].step if plan.free else 1
        again = [loop for loop in plan.folded if loop.turns > 1]
        turning = [loop for loop in plan.free if loop.turns > 1] + again
        if out.fold is not None and again:
            self._line(f"{ap_type(out.fold.type)} sums{f'[{pe}]' if pe > 1 else ''};")
            if pe > 1:
                self._pragma("ARRAY_PARTITION variable=sums type=complete")
        if not turning and alone:
            self._pragma("PIPELINE II=1")
        with ExitStack() as opened:
            for loop in turning:
                opened.enter_context(self._loop(loop))
            if turning:
                self._pragma("PIPELINE II=1")
                if result in (operand for _, operand in self._reads.values()):
                    # An element is read where it is written and nowhere else.
                    self._pragma(f"DEPENDENCE variable={result} type=inter dependent=false")
            with self._lanes(plan.free, "pe"):
                if out.fold is None:
                    self._store(out, result)
                else:
                    self._fold(out, out.fold, result, plan.folded, "sums[pe]" if pe > 1 else "sums")

    def _fold(self, out: Out, fold: Fold, result: str, folded: tuple[Loop, ...], sum_: str) -> None:
        """Take the terms of this turn, and keep their sum in `sum_` where there are more."""
        again = [loop for loop in folded if loop.turns > 1]
        self._line(f"{ap_type(fold.type)} acc;")
        if again:
            with self._block(f"if ({' && '.join(f'd_{loop.dim} == 0' for loop in again)})"):
                self._line(f"acc = {self._value(fold.init)};")
            with self._block("else"):
                self._line(f"acc = {sum_};")
        else:
            self._line(f"acc = {self._value(fold.init)};")
        self._printer.names[fold.result] = "acc"
        with self._lanes(folded, "simd"):
            # The sum is known to fit; a typed addition could leave 64 bits for nothing.
            plain = fold.op == "add"
            text = f"acc + {self._value(fold.term)}" if plain else self._value(fold.following)
            self._line(f"acc = {text};")
        if not again:
            self._store(out, result)
            return
        self._line(f"{sum_} = acc;")
        ends = " && ".join(f"d_{loop.dim} == {loop.size - loop.step}" for loop in again)
        with self._block(f"if ({ends})"):
            self._store(out, result)

    def _store(self, out: Out, result: str) -> None:
        value = self._value(out.body)
        self._line(f"{result}{''.join(f'[{self._at[dim]}]' for dim in out.dims)} = {value};")

    def _fix(self, name: str, index: Expr) -> None:
        """Take the turn `index` of a dim, and no other."""
        dim = self._dim(name)
        text = self._value(index)
        self._line(f"const {ap_type(dim.type)} d_{name} = {text};")
        self._printer.names[dim] = self._at[name] = f"d_{name}"

    def _value(self, expr: Expr) -> str:
        """The text of `expr`, after what it needs."""
        for name in self._nest.needed([expr]):
            read, operand = self._reads[name]
            if read.value not in self._printer.names:
                index = "".join(f"[{self._index(each)}]" for each in read.access)
                self._line(f"const {ap_type(read.type.scalar)} l_{name} = {operand}{index};")
                self._printer.names[read.value] = f"l_{name}"
        lines, text = self._printer.print(expr)
        for line in lines:
            self._line(line)
        return text

    def _index(self, expr: Expr) -> str:
        # A dim as it counts, so that lanes are seen to be neighbours.
        return self._at[expr.name] if isinstance(expr, Dim) else self._value(expr)

    def _dim(self, name: str) -> Dim:
        return Dim(name, self._nest.sizes[name])

    def _know(self, name: str, turn: str) -> None:
        dim = self._dim(name)
        self._at[name] = turn
        self._printer.names[dim] = f"{ap_type(dim.type)}({turn})"

    @contextmanager
    def _loop(self, loop: Loop) -> Iterator[None]:
        """Within the loop over its turns."""
        name = f"d_{loop.dim}"
        with self._block(f"for (int {name} = 0; {name} < {loop.size}; {name} += {loop.step})"):
            self._know(loop.dim, name)
            yield

    @contextmanager
    def _lanes(self, along: tuple[Loop, ...], lane: str) -> Iterator[None]:
        """Within the lanes of the last loop; a loop of one turn is there."""
        for loop in along:
            if loop.turns == 1:
                self._know(loop.dim, "0")
        if not along or along[-1].step == 1:
            yield
            return
        loop = along[-1]
        with self._block(f"for (int {lane} = 0; {lane} < {loop.step}; {lane}++)"):
            self._pragma("UNROLL")
            self._know(loop.dim, f"d_{loop.dim} + {lane}" if loop.turns > 1 else lane)
            yield

    @contextmanager
    def _block(self, head: str = "") -> Iterator[None]:
        """Within braces; what is named there is unknown behind them."""
        self._line(f"{head} {{".strip())
        known = dict(self._printer.names), dict(self._at)
        self._depth += 1
        yield
        self._depth -= 1
        self._printer.names, self._at = known
        self._line("}")

    def _line(self, text: str) -> None:
        self._lines.append(_INDENT * self._depth + text)

    def _pragma(self, text: str) -> None:
        self._lines.append(f"#pragma HLS {text}")
