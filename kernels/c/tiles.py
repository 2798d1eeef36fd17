"""Blocked loops: results stay in registers while their operands stream by.

What the inner loops do not change is computed before them.
"""

from collections.abc import Sequence
from dataclasses import replace

from edgetrain.compiler.expr import Const, Dim, Expr, apply, substitute
from edgetrain.compiler.nest import Fold, Out, Read, holds_accumulator, is_accumulator
from edgetrain.kernels.c.elements import Elements, arguments
from edgetrain.kernels.c.expressions import compute_type, constant
from edgetrain.kernels.c.tiling import Loop, Point, Tiling


class TilePrinter(Elements):
    """Prints the loops of one tiling: results in registers, rows of operands streaming by."""

    def print(self) -> list[str]:
        looped = {loop.dim for loop in self._tiling.loops}
        for name in self._tiling.order:
            if name not in looped:
                self._bases[name], self._widths[name] = "0", self._nest.sizes[name]
                self._tops[name] = 0
        self._enter(0)
        return self._lines

    def _enter(self, level: int) -> None:
        """Everything once `level` loops are open."""
        starting = [o for o in self._tiling.outs if o.fold and self._opens_at(o) == level]
        self._hoist()
        for out in starting:
            self._start(out)
        if level == len(self._tiling.loops):
            self._body()
        else:
            self._loop(level)
        for out in starting:
            self._finish(out)

    def _opens_at(self, out: Out) -> int:
        """The number of loops that must be open for the dims of `out` to be."""
        loops = [loop.dim for loop in self._tiling.loops]
        return max((loops.index(d) + 1 for d in out.dims if d in loops), default=0)

    def _loop(self, level: int) -> None:
        loop = self._tiling.loops[level]
        size = self._nest.sizes[loop.dim]
        if loop.merged:
            self._merging_loop(level, loop, size)
            return
        whole = size - size % loop.step
        if whole == size > loop.step and self._reads_past(loop):
            whole -= loop.step  # the last rows must not be read past their end
        if whole == loop.step == size:
            self._block(level, "0", size, 0)
        elif whole == loop.step:
            # In braces, so that the rest has names of its own.
            self._line("{")
            self._block(level, "0", loop.step, 0)
            self._line("}")
        elif whole:
            variable = f"d_{loop.dim}"
            self._line(
                f"for (int32_t {variable} = 0; {variable} < {whole}; {variable} += {loop.step}) {{"
            )
            self._block(level, variable, loop.step, whole - loop.step)
            self._line("}")
        if whole < size:
            self._line("{")
            self._block(level, str(whole), size - whole, whole)
            self._line("}")

    def _reads_past(self, loop: Loop) -> bool:
        """Whether the rows of `loop` do not fill whole vectors, and may be read as if they did."""
        lanes = self._tiling.lanes
        if not lanes or lanes == loop.dim or not self._unit.reads_past:
            return False
        return self._nest.sizes[lanes] % self._unit.lanes != 0

    def _block(self, level: int, base: str, width: int, top: int) -> None:
        """The body over `width` turns from `base`, which is `top` at most."""
        dim, kept = self._tiling.loops[level].dim, dict(self._names)
        self._bases[dim], self._widths[dim], self._tops[dim] = base, width, top
        self._depth += 1
        self._enter(level + 1)
        self._depth -= 1
        del self._bases[dim], self._widths[dim], self._tops[dim]
        self._names = kept

    def _hoist(self) -> None:
        """Compute what the loops yet to open do not change."""
        if len(self._widths) == len(self._tiling.order):
            return  # the body follows at once, and loads for itself
        for out in self._tiling.outs:
            for part in self._settled(out.body if out.fold is None else out.fold.term):
                points = list(self._points(self._dims_of(part)))
                if len(points) <= self._unit.accumulators:
                    for point in points:
                        self._variable(part, point)

    def _settled(self, expr: Expr) -> list[Expr]:
        """The largest parts of `expr` that the open loops fix."""
        if isinstance(expr, Const | Dim) or is_accumulator(expr):
            return []
        open_ = set(self._dims_of(expr)) <= self._widths.keys()
        if not open_ or holds_accumulator(expr):
            return [part for a in arguments(expr) for part in self._settled(a)]
        return [expr]

    def _body(self) -> None:
        *slower, fastest = self._tiling.order
        steady = [r for r in self._streamed() if fastest not in self._dims_of(r.value)]
        for read in steady:
            self._load(read, list(self._points(self._dims_of(read.value))))
        for outer in self._points(slower):
            turns = [{**outer, **inner} for inner in self._points([fastest])]
            for start in range(0, len(turns), self._unit.group):
                self._group(turns[start : start + self._unit.group])

    def _streamed(self) -> list[Read]:
        """What the body reads."""
        used = [out.body if out.fold is None else out.fold.term for out in self._tiling.outs]
        names = self._nest.needed(used)
        return [read for read in self._nest.reads if read.local in names]

    def _group(self, turns: Sequence[Point]) -> None:
        """Load for all `turns`, compute for all, then store."""
        for read in self._streamed():
            self._load(read, turns)
        for out in self._tiling.outs:
            if out.fold is not None:
                for point in turns:
                    self._accumulate(out, out.fold, point)
        maps = [out for out in self._tiling.outs if out.fold is None]
        values = [[self._variable(out.body, point) for point in turns] for out in maps]
        for out, texts in zip(maps, values, strict=True):
            self._store(out, turns, texts)
        if maps and self._unit.lanes == 1:
            # Or else all loads of the body come first, into more registers than there are.
            self._line("ET_IN_ORDER();")

    def _start(self, out: Out) -> None:
        assert out.fold is not None
        fold = out.fold
        for point in self._points(out.dims):
            if self._in_lanes(out):
                init = self._unit.splat(constant(-0.0, fold.type), fold.type, None)
                name = self._accumulator(out, point)
                self._line(f"{self._unit.type(fold.type)} {name} = {init};")
                continue
            init = self._text(fold.init, point)
            if self._varies(fold.result, out) and not self._varies(fold.init):
                init = self._unit.splat(init, fold.type, self._count_at(point))
            kind = self._type(fold.type, self._varies(fold.result, out))
            self._line(f"{kind} {self._accumulator(out, point)} = {init};")

    def _accumulate(self, out: Out, fold: Fold, point: Point) -> None:
        text = self._text(fold.following, point, out)
        self._line(f"{self._accumulator(out, point)} = {text};")

    def _finish(self, out: Out) -> None:
        assert out.fold is not None
        points = list(self._points(out.dims))
        loops = [loop for loop in self._tiling.loops if loop.merged]
        if self._in_lanes(out) and loops:
            (point,), (row,) = points, (loop.dim for loop in loops)
            place = f"sums + (d_{row} - d_{row}0) * {self._unit.lanes}"
            vector = self._accumulator(out, point)
            self._line(self._unit.store(place, vector, out.fold.type, 1, None))
            return
        if self._in_lanes(out):
            for point in points:
                acc = self._accumulator(out, point)
                lines, text = self._unit.merge(acc, out.fold.type)
                for line in lines:
                    self._line(line)
                self._line(f"const {compute_type(out.fold.type)} {acc}_sum = {text};")
        size = self._unit.group
        for start in range(0, len(points), size):
            some = points[start : start + size]
            body = _with_init(out) if self._in_lanes(out) else out.body
            texts = [self._text(body, point, out, finished=True) for point in some]
            self._store(out, some, texts)

    def _merging_loop(self, level: int, loop: Loop, size: int) -> None:
        """Turns of which each leaves a vector of sums, which are then added up side by side."""
        first, turn, rows = f"d_{loop.dim}0", f"d_{loop.dim}", loop.merged
        kind = compute_type(self._merged[0].type)
        self._line(f"{kind} sums[{rows * self._unit.lanes}];")
        for start, stop in ((0, size - size % rows), (size - size % rows, size)):
            if start == stop:
                continue
            count = min(rows, stop - start)
            self._line(f"for (int32_t {first} = {start}; {first} < {stop}; {first} += {count}) {{")
            self._depth += 1
            self._line(f"for (int32_t {turn} = {first}; {turn} < {first} + {count}; {turn}++) {{")
            self._block(level, turn, 1, stop - 1)
            self._line("}")
            for out in self._merged:
                self._finish_rows(out, loop.dim, first, count)
            self._depth -= 1
            self._line("}")

    @property
    def _merged(self) -> list[Out]:
        """The results whose sums lie in lanes."""
        return [out for out in self._tiling.outs if out.fold is not None and self._in_lanes(out)]

    def _finish_rows(self, out: Out, dim: str, base: str, count: int) -> None:
        """The elements of `count` rows from `base`, whose lanes wait in `sums`."""
        tiling = Tiling((out,), (), (*out.dims,), unit=self._unit, lanes=dim)
        rows = TilePrinter(self._nest, self._operands, self._results, tiling, f"{self._prefix}r")
        rows._depth, rows._lines = self._depth, self._lines
        rows._bases = {**self._bases, dim: base}
        rows._widths = {**self._widths, dim: count}
        rows._tops = {**self._tops, dim: self._nest.sizes[dim]}
        (point,) = rows._points(out.dims)
        name = rows._accumulator(out, point)
        for line in self._unit.merge_rows("sums", name):
            self._line(line)
        rows._finish(replace(out, body=_with_init(out)))


def _with_init(out: Out) -> Expr:
    """The element, of sums in lanes: to them the fold's first value comes last."""
    assert out.fold is not None
    total = apply("add", out.fold.result, out.fold.init)
    return substitute(out.body, {out.fold.result: total})
