"""How much of a nest a circuit carries out at once.  It is schedule: it never changes a bit.

A result of a nest is computed turn after turn: `pe` neighbours of its last dim at a time
(processing elements), and of its fold `simd` terms of the last folded dim, as FINN's layers are
(Umuroglu et al., "FINN: A Framework for Fast, Scalable Binarized Neural Network Inference", 2017).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod

from edgetrain.compiler.expr import Dim, Expr, subexpressions
from edgetrain.compiler.nest import Nest, Out, Read
from edgetrain.compiler.program import TRAINING, Call, Program


@dataclass(frozen=True, slots=True)
class Folding:
    """Lanes of one unit; each divides the length of its dim."""

    pe: int = 1
    simd: int = 1


@dataclass(frozen=True, slots=True)
class Loop:
    """The dim of `size` in steps of `step`."""

    dim: str
    size: int
    step: int = 1

    @property
    def turns(self) -> int:
        return self.size // self.step


@dataclass(frozen=True, slots=True)
class Loops:
    """The loops of one result, outermost first: those over its elements, then those of its fold."""

    free: tuple[Loop, ...]
    folded: tuple[Loop, ...]

    @property
    def turns(self) -> int:
        return prod(loop.turns for loop in (*self.free, *self.folded))


def loops(call: Call, out: Out, folding: Folding) -> Loops:
    """A dim of which `call.point` takes one turn has no loop."""
    sizes = call.nest.sizes
    fixed = {dim for dim, _ in call.point}
    free = [Loop(dim, sizes[dim]) for dim in out.dims if dim not in fixed]
    folded = [Loop(dim, sizes[dim]) for dim in call.nest.folded_dims(out)]
    for steps, lanes in ((free, folding.pe), (folded, folding.simd)):
        if steps:
            steps[-1] = Loop(steps[-1].dim, steps[-1].size, lanes)
    return Loops(tuple(free), tuple(folded))


def foldings(call: Call, constants: Collection[str]) -> tuple[Folding, ...]:
    """Those that `call` allows, the smallest first; operands in `constants` can be laid out at
    will, all others have words of neighbours in their last axis."""
    changing = [
        read
        for read, name in zip(call.nest.reads, call.inputs, strict=True)
        if name not in constants
    ]
    (out, *more) = call.nest.outs
    if more:
        return (Folding(),)
    plain = loops(call, out, Folding())
    side = [_lanes(along, changing, call.nest, out) for along in (plain.free, plain.folded)]
    found = (Folding(pe, simd) for pe, simd in product(*side))
    return tuple(sorted(found, key=lambda f: (f.pe * f.simd, f.pe)))


def _lanes(
    along: tuple[Loop, ...], changing: Collection[Read], nest: Nest, out: Out
) -> tuple[int, ...]:
    if not along or (along[-1].dim in out.dims and along[-1].dim != out.dims[-1]):
        return (1,)
    last = along[-1]
    needed = set(nest.needed(out.expressions))
    if any(_scatters(read, last.dim) for read in changing if read.local in needed):
        return (1,)
    return tuple(n for n in range(1, last.size + 1) if last.size % n == 0)


def _scatters(read: Read, dim: str) -> bool:
    """Whether neighbours along `dim` are not neighbours in the last axis of what is read."""
    return any(_mentions(index, dim) for index in read.access[:-1]) or (
        bool(read.access)
        and not isinstance(read.access[-1], Dim)
        and _mentions(read.access[-1], dim)
    )


def _mentions(expr: Expr, dim: str) -> bool:
    return any(isinstance(node, Dim) and node.name == dim for node in subexpressions(expr))


def unit_names(program: Program) -> Mapping[tuple[str, int], str]:
    """The unit that carries out each call, by entry and place: `matmul_0`, `matmul_1`, …

    Calls of the same nest over the same constants and states are one unit, whichever their entry.
    Those of the entry that learns come last, so that without it all others are called the same.
    """
    names: dict[object, str] = {}
    counts: dict[str, int] = {}
    found = {}
    lasting = {*program.constants, *program.initial}
    for entry in sorted(program.entries, key=lambda entry: entry.name == TRAINING):
        for place, call in enumerate(entry.calls):
            operands = (name if name in lasting else "" for name in call.inputs)
            key = (call.op, call.nest, call.point, *operands)
            if key not in names:
                names[key] = f"{call.op}_{counts.get(call.op, 0)}"
                counts[call.op] = counts.get(call.op, 0) + 1
            found[entry.name, place] = names[key]
    return found
