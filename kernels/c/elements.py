"""The values of blocked loops as C: loads, expressions and stores at unrolled turns."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod

from edgetrain.compiler.expr import Apply, Const, Dim, Expr, Local, subexpressions
from edgetrain.compiler.nest import Nest, Out, Read, holds_accumulator, is_accumulator
from edgetrain.compiler.types import Scalar
from edgetrain.kernels.c.expressions import apply_text, compute_type, constant, storage_type
from edgetrain.kernels.c.operand import Operand
from edgetrain.kernels.c.tiling import Point, Tiling
from edgetrain.kernels.c.units import Term

_INDENT = "    "


class Elements:
    """What loops that are open give a name to: each value at each turn that is unrolled, once.

    Every index of a read that is used must be a dim or a constant, every buffer in row-major order.
    Of the open dims, `_bases` are the turns from which `_widths` turns are unrolled, `_tops` at
    most.
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

    def _line(self, text: str) -> None:
        self._lines.append(_INDENT * self._depth + text)

    def _points(self, dims: Sequence[str]) -> Iterator[dict[str, int]]:
        """Every unrolled turn of `dims`, in the order of the tiling."""
        names = [d for d in self._tiling.order if d in dims]
        steps = [self._unit.lanes if d == self._tiling.lanes else 1 for d in names]
        turns = (range(0, self._widths[d], step) for d, step in zip(names, steps, strict=True))
        for offsets in product(*turns):
            yield dict(zip(names, offsets, strict=True))

    def _accumulator(self, out: Out, point: Point) -> str:
        return "_".join(["acc", out.name, *(str(point[d]) for d in out.dims)])

    def _in_lanes(self, out: Out) -> bool:
        """Whether the fold of `out` has a partial sum a lane."""
        return self._tiling.lanes != "" and self._tiling.lanes not in out.dims

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
        return out is not None and lanes in out.dims and holds_accumulator(expr)

    def _type(self, scalar: Scalar, varies: bool) -> str:
        return self._unit.type(scalar) if varies else compute_type(scalar)

    def _count_at(self, point: Point) -> int | None:
        """The lanes in use at `point`, None for all."""
        lanes = self._tiling.lanes
        if lanes not in point:
            return None
        rest = self._widths[lanes] - point[lanes]
        return rest if rest < self._unit.lanes else None

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
        if is_accumulator(expr):
            assert out is not None
            acc = self._accumulator(out, point)
            return f"{acc}_sum" if finished and self._in_lanes(out) else acc
        key = self._key(expr, point) if not holds_accumulator(expr) else None
        if key in self._names:
            return self._names[key]
        if isinstance(expr, Local):
            self._load(self._reads[expr], [point])
            return self._names[self._key(expr, point)]
        assert isinstance(expr, Apply)
        for node in _shared(expr):
            if not holds_accumulator(node):
                self._variable(node, point)
        texts = [self._text(a, point, out, finished) for a in expr.args]
        in_fold = out is not None and not finished and self._in_lanes(out)
        varying = [self._varies(a, out) or (in_fold and holds_accumulator(a)) for a in expr.args]
        if not any(varying):
            return apply_text(expr, texts)
        terms = [Term(t, v) for t, v in zip(texts, varying, strict=True)]
        count = self._count_at(point)
        if in_fold and count is not None and holds_accumulator(expr):
            return self._unit.accumulate(expr, terms, count)
        return self._unit.apply(expr, terms, count)

    def _load(self, read: Read, points: Sequence[Point]) -> None:
        """Variables for the elements of `read` at `points`, where there are none yet."""
        wanted: dict[int, tuple[Expr, tuple[int, ...]]] = {}
        counts: dict[int, int | None] = {}
        operand, base = self._operands[read.local], ""
        for point in points:
            key = self._key(read.value, point)
            if key not in self._names:
                base, offset = self._position(read.access, read.type.shape, point)
                wanted[offset] = key
                counts[offset] = self._count_to_load(read, point)
        if self._varies(read.value):
            stride = self._stride(read.access, read.type.shape)
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
        last = 0
        for index, stride in zip(read.access, _strides(read.type.shape), strict=True):
            top = self._tops[index.name] if isinstance(index, Dim) else 0
            last += (top + _turn(index, point)) * stride
        neighbours = read.access[-1] == Dim(self._tiling.lanes, read.type.shape[-1])
        whole = self._unit.reads_past and neighbours
        within = last + self._unit.lanes <= read.type.size
        return None if whole and within else self._count_at(point)

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
            base, offset = self._position(access, shape, point)
            where[offset] = (value, point)
        varies = self._varies(out.body, out) or (
            self._tiling.lanes in out.dims and self._tiling.lanes != ""
        )
        if varies:
            stride = self._stride(access, shape)
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
        self, access: Sequence[Expr], shape: Sequence[int], point: Point
    ) -> tuple[str, int]:
        """An element's place in its buffer: what the loops add to it, and a constant."""
        terms: list[str] = []
        offset = 0
        for index, stride in zip(access, _strides(shape), strict=True):
            base = self._bases[index.name] if isinstance(index, Dim) else "0"
            offset += _turn(index, point) * stride
            if base.isdigit():
                offset += int(base) * stride
            else:
                terms.append(base if stride == 1 else f"{base} * {stride}")
        return " + ".join(terms), offset

    def _stride(self, access: Sequence[Expr], shape: Sequence[int]) -> int:
        """The distance in memory of what neighbouring lanes read."""
        strides = zip(access, _strides(shape), strict=True)
        return next(
            stride
            for index, stride in strides
            if isinstance(index, Dim) and index.name == self._tiling.lanes
        )


def _strides(shape: Sequence[int]) -> list[int]:
    """By how many elements neighbours along each axis lie apart, row by row."""
    return [prod(shape[axis + 1 :]) for axis in range(len(shape))]


def _turn(index: Expr, point: Point) -> int:
    """How far `index`, a dim or a constant, is past the base of its block at `point`."""
    if isinstance(index, Const):
        return int(index.value)
    assert isinstance(index, Dim)
    return point[index.name]


def arguments(expr: Expr) -> tuple[Expr, ...]:
    return expr.args if isinstance(expr, Apply) else ()


def _shared(expr: Apply) -> list[Expr]:
    """The applied primitives that occur more than once in `expr`, what they use before them."""
    uses: dict[Expr, int] = {}
    for node in subexpressions(expr):
        for argument in arguments(node):
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
