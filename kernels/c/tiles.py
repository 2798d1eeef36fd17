"""Blocked loops: results stay in registers while their operands stream by.

A `Tiling` says which dims are loops and how many turns of each the body holds unrolled; it never
changes a bit.  What the inner loops do not change is computed before them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from edgetrain.compiler.expr import (
    Apply,
    Const,
    Dim,
    Expr,
    Local,
    apply,
    subexpressions,
    substitute,
)
from edgetrain.compiler.nest import Fold, Nest, Out, Read
from edgetrain.compiler.types import Scalar
from edgetrain.kernels.c.expressions import apply_text, compute_type, constant, storage_type
from edgetrain.kernels.c.operand import Operand
from edgetrain.kernels.c.units import Term, Unit

_INDENT = "    "
Point = Mapping[str, int]
"""Of each open dim, by how many turns it is past the base of its block."""


@dataclass(frozen=True, slots=True)
class Loop:
    """`step` turns of `dim` are unrolled in the body.  With `merged`, the lanes' sums of so many
    turns are added up together."""

    dim: str
    step: int
    merged: int = 0


@dataclass(frozen=True, slots=True)
class Tiling:
    """How some results of a nest are computed together.

    `loops`: outermost first; a dim without one is unrolled whole.  `order`: all dims, as they run
    within the unrolled body, the last one fastest; `group` neighbours along it are loaded, computed
    and stored together.  At most `hoisted` values of one kind are kept through a loop.  `unit`
    carries out `unit.lanes` turns of the dim `lanes` at once.
    """

    outs: tuple[Out, ...]
    loops: tuple[Loop, ...]
    order: tuple[str, ...]
    group: int = 8
    hoisted: int = 16
    unit: Unit = field(default_factory=Unit)
    lanes: str = ""


class TilePrinter:
    """Prints the loops of one tiling.

    Every index of a read that is used must be a dim or a constant, every buffer unpacked.
    """

    def __init__(
        self,
        nest: Nest,
        operands: Mapping[str, Operand],
        results: Mapping[str, Operand],
        tiling: Tiling,
        prefix: str = "t",
    ) -> None:
        self._nest = nest
        self._operands = operands
        self._results = results
        self._tiling = tiling
        self._unit = tiling.unit
        self._prefix = prefix
        self._depth = 1
        self._lines: list[str] = []
        self._count = 0
        self._names: dict[tuple[Expr, tuple[int, ...]], str] = {}
        self._reads: dict[Expr, Read] = {read.value: read for read in nest.reads}
        self._bases: dict[str, str] = {}
        self._tops: dict[str, int] = {}
        self._widths: dict[str, int] = {}

    def print(self) -> list[str]:
        looped = {loop.dim for loop in self._tiling.loops}
        for name in self._tiling.order:
            if name not in looped:
                self._bases[name], self._widths[name] = "0", self._nest.sizes[name]
                self._tops[name] = 0
        self._enter(0)
        return self._lines

    # Loops.

    def _line(self, text: str) -> None:
        self._lines.append(_INDENT * self._depth + text)

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
        if whole == loop.step:
            self._block(level, "0", loop.step, 0)
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

    def _block(self, level: int, base: str, width: int, top: int) -> None:
        """The body over `width` turns from `base`, which is `top` at most."""
        dim, kept = self._tiling.loops[level].dim, dict(self._names)
        self._bases[dim], self._widths[dim], self._tops[dim] = base, width, top
        self._depth += 1
        self._enter(level + 1)
        self._depth -= 1
        del self._bases[dim], self._widths[dim], self._tops[dim]
        self._names = kept

    def _points(self, dims: Sequence[str]) -> Iterator[dict[str, int]]:
        """Every unrolled turn of `dims`, in the order of the tiling."""
        names = [d for d in self._tiling.order if d in dims]
        steps = [self._unit.lanes if d == self._tiling.lanes else 1 for d in names]
        turns = (range(0, self._widths[d], step) for d, step in zip(names, steps, strict=True))
        for offsets in product(*turns):
            yield dict(zip(names, offsets, strict=True))

    def _body(self) -> None:
        *slower, fastest = self._tiling.order
        steady = [r for r in self._streamed() if fastest not in self._dims_of(r.value)]
        for read in steady:
            self._load(read, list(self._points(self._dims_of(read.value))))
        for outer in self._points(slower):
            turns = [{**outer, **inner} for inner in self._points([fastest])]
            for start in range(0, len(turns), self._tiling.group):
                self._group(turns[start : start + self._tiling.group])

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

    # Folds.

    def _accumulator(self, out: Out, point: Point) -> str:
        return "_".join(["acc", out.name, *(str(point[d]) for d in out.dims)])

    def _in_lanes(self, out: Out) -> bool:
        """Whether the fold of `out` has a partial sum a lane."""
        return self._tiling.lanes != "" and self._tiling.lanes not in out.dims

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
        acc = self._accumulator(out, point)
        if fold.contract is not None and fold.contract.fused:
            assert isinstance(fold.term, Apply)
            total = apply("fma", *fold.term.args, fold.result)
        else:
            total = apply(fold.op, fold.result, fold.term)
        text = self._text(total, point, out)
        self._line(f"{acc} = {text};")

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
        size = self._tiling.group
        for start in range(0, len(points), size):
            some = points[start : start + size]
            body = _with_init(out) if self._in_lanes(out) else out.body
            texts = [self._text(body, point, out, finished=True) for point in some]
            self._store(out, some, texts)

    # Values.

    def _dims_of(self, expr: Expr) -> tuple[str, ...]:
        """The dims on which a value depends, in the order of the nest."""
        found = self._nest.depends_on(expr)
        return tuple(name for name, _ in self._nest.dims if name in found)

    def _varies(self, expr: Expr, out: Out | None = None) -> bool:
        """Whether `expr` differs from lane to lane; `out` is whose accumulator it may hold."""
        lanes = self._tiling.lanes
        if not lanes:
            return False
        if lanes in self._nest.depends_on(expr):
            return True
        return out is not None and lanes in out.dims and _holds_accumulator(expr, self._reads)

    def _type(self, scalar: Scalar, varies: bool) -> str:
        return self._unit.type(scalar) if varies else compute_type(scalar)

    def _count_at(self, point: Point) -> int | None:
        """The lanes in use at `point`, None for all."""
        lanes = self._tiling.lanes
        if lanes not in point:
            return None
        rest = self._widths[lanes] - point[lanes]
        return rest if rest < self._unit.lanes else None

    def _hoist(self) -> None:
        """Compute what the loops yet to open do not change."""
        if len(self._widths) == len(self._tiling.order):
            return  # the body follows at once, and loads for itself
        for out in self._tiling.outs:
            for part in self._settled(out.body if out.fold is None else out.fold.term):
                points = list(self._points(self._dims_of(part)))
                if len(points) <= self._tiling.hoisted:
                    for point in points:
                        self._variable(part, point)

    def _settled(self, expr: Expr) -> list[Expr]:
        """The largest parts of `expr` that the open loops fix."""
        if isinstance(expr, Const | Dim) or _is_accumulator(expr, self._reads):
            return []
        open_ = set(self._dims_of(expr)) <= self._widths.keys()
        if not open_ or _holds_accumulator(expr, self._reads):
            return [part for a in _arguments(expr) for part in self._settled(a)]
        return [expr]

    def _key(self, expr: Expr, point: Point) -> tuple[Expr, tuple[int, ...]]:
        return expr, tuple(point[d] for d in self._dims_of(expr))

    def _variable(self, expr: Expr, point: Point) -> str:
        """A variable that holds `expr` at `point`."""
        key = self._key(expr, point)
        if key not in self._names:
            text = self._text(expr, point)
            if key not in self._names:
                self._names[key] = self._declare(expr, text)
        return self._names[key]

    def _declare(self, expr: Expr, text: str) -> str:
        name = f"{self._prefix}{self._count}"
        self._count += 1
        self._line(f"const {self._type(expr.type, self._varies(expr))} {name} = {text};")
        return name

    def _text(
        self, expr: Expr, point: Point, out: Out | None = None, finished: bool = False
    ) -> str:
        """`expr` at `point` as C; loads and what is used twice become variables before it."""
        if isinstance(expr, Const):
            return constant(expr.value, expr.type)
        if isinstance(expr, Dim):
            return _sum(self._bases[expr.name], point[expr.name])
        if _is_accumulator(expr, self._reads):
            assert out is not None
            acc = self._accumulator(out, point)
            return f"{acc}_sum" if finished and self._in_lanes(out) else acc
        key = self._key(expr, point) if not _holds_accumulator(expr, self._reads) else None
        if key in self._names:
            return self._names[key]
        if isinstance(expr, Local):
            self._load(self._reads[expr], [point])
            return self._names[self._key(expr, point)]
        assert isinstance(expr, Apply)
        for node in _shared(expr):
            if not _holds_accumulator(node, self._reads):
                self._variable(node, point)
        texts = [self._text(a, point, out, finished) for a in expr.args]
        in_fold = out is not None and not finished and self._in_lanes(out)
        varying = [
            self._varies(a, out) or (in_fold and _holds_accumulator(a, self._reads))
            for a in expr.args
        ]
        if not any(varying):
            return apply_text(expr, texts)
        terms = [Term(t, v) for t, v in zip(texts, varying, strict=True)]
        count = self._count_at(point)
        if in_fold and count is not None and _holds_accumulator(expr, self._reads):
            return self._unit.accumulate(expr, terms, count)
        return self._unit.apply(expr, terms, count)

    # Memory.

    def _load(self, read: Read, points: Sequence[Point]) -> None:
        """Variables for the elements of `read` at `points`, where there are none yet."""
        wanted: dict[int, tuple[Expr, tuple[int, ...]]] = {}
        counts: dict[int, int | None] = {}
        operand, base = self._operands[read.local], ""
        for point in points:
            key = self._key(read.value, point)
            if key not in self._names:
                base, offset = self._position(read.access, read.type.shape, operand, point)
                wanted[offset] = key
                counts[offset] = self._count_to_load(read, point)
        if self._varies(read.value):
            stride = self._stride(read.access, read.type.shape, operand)
            for offset, key in wanted.items():
                pointer = _address(operand.pointer, base, offset)
                text = self._unit.load(pointer, read.type.scalar, stride, counts[offset])
                self._names[key] = self._declare(read.value, text)
            return
        kind = compute_type(read.type.scalar)
        cast = "" if kind == storage_type(read.type.scalar) else f"({kind})"
        for run in self._unit.runs(sorted(wanted), read.type.scalar):
            if len(run) > 1:
                names = [f"{self._prefix}{self._count + i}" for i in range(len(run))]
                self._count += len(run)
                pointer = _address(operand.pointer, base, run[0])
                for line in self._unit.load_run(names, pointer, self._first_register(read)):
                    self._line(line)
                self._names |= {wanted[o]: name for o, name in zip(run, names, strict=True)}
            else:
                element = f"{cast}{operand.pointer}[{_plus(base, run[0])}]"
                self._names[wanted[run[0]]] = self._declare(read.value, element)

    def _count_to_load(self, read: Read, point: Point) -> int | None:
        """The lanes of `read` in use at `point`; None also where the others may be loaded."""
        if not self._varies(read.value):
            return None
        count, stride, last = self._count_at(point), 1, 0
        for axis in reversed(range(len(read.access))):
            index = read.access[axis]
            if isinstance(index, Const):
                last += int(index.value) * stride
            else:
                assert isinstance(index, Dim)
                last += (self._tops[index.name] + point[index.name]) * stride
            stride *= read.type.shape[axis]
        neighbours = read.access[-1] == Dim(self._tiling.lanes, read.type.shape[-1])
        whole = self._unit.reads_past and neighbours
        return None if whole and last + self._unit.lanes <= read.type.size else count

    def _first_register(self, read: Read) -> bool:
        return self._tiling.order[-1] in self._dims_of(read.value)

    def _store(self, out: Out, points: Sequence[Point], values: Sequence[str]) -> None:
        result = self._results[out.name]
        access = [Dim(d, self._nest.sizes[d]) for d in out.dims]
        shape = [self._nest.sizes[d] for d in out.dims]
        stored = storage_type(out.type)
        cast = "" if compute_type(out.body.type) == stored else f"({stored})"
        where: dict[int, tuple[str, Point]] = {}
        base = ""
        for point, value in zip(points, values, strict=True):
            base, offset = self._position(access, shape, result, point)
            where[offset] = (value, point)
        varies = self._varies(out.body, out) or (
            self._tiling.lanes in out.dims and self._tiling.lanes != ""
        )
        if varies:
            stride = self._stride(access, shape, result)
            for offset, (value, point) in where.items():
                if not self._varies(out.body, out):
                    value = self._unit.splat(value, out.type, self._count_at(point))
                pointer = _address(result.pointer, base, offset)
                self._line(
                    self._unit.store(pointer, value, out.type, stride, self._count_at(point))
                )
            return
        for run in self._unit.runs(sorted(where), out.type):
            values_ = [where[o][0] for o in run]
            if len(run) > 1:
                pointer = _address(result.pointer, base, run[0])
                for line in self._unit.store_run(values_, pointer):
                    self._line(line)
            else:
                self._line(f"{result.pointer}[{_plus(base, run[0])}] = {cast}{values_[0]};")

    def _position(
        self, access: Sequence[Expr], shape: Sequence[int], operand: Operand, point: Point
    ) -> tuple[str, int]:
        """An element's place in its buffer: what the loops add to it, and a constant."""
        terms: list[str] = []
        offset, stride = 0, 1
        for axis in reversed(operand.layout.axes(len(access))):
            index = access[axis]
            if isinstance(index, Const):
                offset += int(index.value) * stride
            else:
                assert isinstance(index, Dim)
                base = self._bases[index.name]
                offset += point[index.name] * stride
                if base.isdigit():
                    offset += int(base) * stride
                else:
                    terms.insert(0, base if stride == 1 else f"{base} * {stride}")
            stride *= shape[axis]
        return " + ".join(terms), offset

    def _stride(self, access: Sequence[Expr], shape: Sequence[int], operand: Operand) -> int:
        """The distance in memory of what neighbouring lanes read."""
        stride = 1
        for axis in reversed(operand.layout.axes(len(access))):
            index = access[axis]
            if isinstance(index, Dim) and index.name == self._tiling.lanes:
                return stride
            stride *= shape[axis]
        raise ValueError("no lanes")


def _with_init(out: Out) -> Expr:
    """The element, of sums in lanes: to them the fold's first value comes last."""
    assert out.fold is not None
    total = apply("add", out.fold.result, out.fold.init)
    return substitute(out.body, {out.fold.result: total})


def _arguments(expr: Expr) -> tuple[Expr, ...]:
    return expr.args if isinstance(expr, Apply) else ()


def _is_accumulator(expr: Expr, reads: Mapping[Expr, Read]) -> bool:
    return isinstance(expr, Local) and expr not in reads


def _holds_accumulator(expr: Expr, reads: Mapping[Expr, Read]) -> bool:
    return any(_is_accumulator(e, reads) for e in subexpressions(expr))


def _shared(expr: Apply) -> list[Expr]:
    """The applied primitives that occur more than once in `expr`, what they use before them."""
    uses: dict[Expr, int] = {}
    for node in subexpressions(expr):
        for argument in _arguments(node):
            if isinstance(argument, Apply) and argument.op != "assume":
                uses[argument] = uses.get(argument, 0) + 1
    return [node for node in subexpressions(expr) if uses.get(node, 0) > 1]


def _plus(base: str, offset: int) -> str:
    return base if base and not offset else f"{base} + {offset}" if base else str(offset)


def _address(pointer: str, base: str, offset: int) -> str:
    place = _plus(base, offset)
    return pointer if place == "0" else f"{pointer} + {place}"


def _sum(base: str, offset: int) -> str:
    if base.isdigit():
        return str(int(base) + offset)
    return base if offset == 0 else f"({base} + {offset})"
