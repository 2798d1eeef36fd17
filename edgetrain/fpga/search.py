"""The search for a folding: lanes of each unit against latency, look-up tables and block RAM.

What a unit of more lanes costs and saves hardly depends on the others: so each of its foldings is
printed once, beside others of one lane, and sums of these say which combinations nothing beats.
Only those are printed as a whole.  Cycles are exact; look-up tables are those of
edgetrain.fpga.estimate.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.folding import Folding, foldings, loops, unit_names
from edgetrain.compiler.program import TRAINING, Call, Program
from edgetrain.fpga.estimate import estimate
from edgetrain.kernels.rtl.folded import print_folded
from edgetrain.kernels.rtl.memories import BLOCK_BITS

NO_BLOCKS = 1 << 62
"""More bits than any memory has."""
MOST_LANES = 512
"""Of a unit: with more, a circuit without folds is the smaller one."""
DSP_LUTS = 16
"""Look-up tables that a multiplier counts as: those of eight bits by two."""
_SHARE = 0.01
"""Units that take less of the turns than this keep one lane."""
_TRIED = 12
"""Combinations that are printed for a choice, those that promise most."""


@dataclass(frozen=True)
class Point:
    """One folding: `cycles` from a frame's first beat to the last of its answer, of the slowest
    entry that infers; memories from `block_bits` on are in block RAM."""

    foldings: Mapping[str, Folding]
    block_bits: int
    cycles: int
    luts: int
    brams: float
    dsps: int

    @property
    def cost(self) -> int:
        """Look-up tables and multipliers in one number."""
        return self.luts + DSP_LUTS * self.dsps

    def beats(self, other: "Point") -> bool:
        """Whether it is as good in everything, and not the same."""
        mine, theirs = ((p.cycles, p.cost, p.brams) for p in (self, other))
        return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))


@dataclass(frozen=True)
class Choice:
    """The folding chosen, and all that nothing beats, the quickest first."""

    point: Point
    front: tuple[Point, ...]


def search(
    program: Program,
    *,
    budget_luts: int | None = None,
    budget_brams: float | None = None,
    target_latency: int | None = None,
    whole_front: bool = False,
) -> Choice:
    """The smallest folding that is quick enough; without a target the quickest within budgets;
    without either the one of the least product of look-up tables and cycles.

    Without a budget of them, what is large enough for block RAM is in it.  The front is of what was
    tried for that; `whole_front` tries all that may be on it.  Raises
    InputError where there is none, or the program has floats.
    """

    def fits(point: Point) -> bool:
        return (
            (budget_luts is None or point.luts <= budget_luts)
            and (budget_brams is None or point.brams <= budget_brams)
            and (target_latency is None or point.cycles <= target_latency)
        )

    def worth(point: Point) -> tuple[float, ...]:
        if target_latency is not None:
            return point.cost, point.brams, point.cycles
        if budget_luts is not None or budget_brams is not None:
            return point.cycles, point.cost, point.brams
        return point.cost * point.cycles, point.brams

    def order(point: Point) -> tuple[float, ...]:
        """What fits first; else what is nearest to it."""
        if fits(point):
            return 0, *worth(point)
        return 1, point.cost if target_latency is None else point.cycles

    tried: list[Point] = []
    without = whole_front or budget_brams is not None
    for block_bits in (BLOCK_BITS, NO_BLOCKS) if without else (BLOCK_BITS,):
        space = _Space(program, block_bits)
        promising = sorted(space.combined(), key=order)
        for point in promising if whole_front else promising[:_TRIED]:
            tried.append(evaluate(program, point.foldings, block_bits))
    front = pareto(tried)
    fit = [point for point in front if fits(point)]
    if not fit:
        smallest, quickest = min(front, key=lambda p: p.luts), front[0]
        raise InputError(
            "no folding keeps to these budgets",
            where=f"tried from {_told(smallest)} to {_told(quickest)}",
            remedy="allow more, or give --fold unrolled",
        )
    return Choice(min(fit, key=worth), front)


def evaluate(program: Program, folded: Mapping[str, Folding], block_bits: int) -> Point:
    """One folding, as printed.  Raises InputError where it cannot be."""
    engine = print_folded(program, folded, block_bits)
    counted = [p.cycles for p in engine.entries if p.name != TRAINING] or [
        p.cycles for p in engine.entries
    ]
    size = estimate(engine)
    return Point(dict(folded), block_bits, max(counted), size.luts, size.brams, size.dsps)


def pareto(points: Iterable[Point]) -> tuple[Point, ...]:
    """Those that no other one beats, the quickest first."""
    every = {(p.cycles, p.cost, p.brams): p for p in points}.values()
    kept = [p for p in every if not any(other.beats(p) for other in every)]
    return tuple(sorted(kept, key=lambda p: (p.cycles, p.cost, p.brams)))


class _Space:
    """The units that are worth more than one lane, and those that follow them; what learns keeps
    one, and is only printed with the rest where a whole circuit is."""

    def __init__(self, program: Program, block_bits: int) -> None:
        self._whole, self._block_bits = program, block_bits
        entries = tuple(entry for entry in program.entries if entry.name != TRAINING)
        self._program = replace(program, entries=entries) if entries else program
        self._calls: dict[str, Call] = {}
        self._followers: dict[str, list[str]] = {}
        names = unit_names(self._program)
        for entry in self._program.entries:
            head = ""
            for place, call in enumerate(entry.calls):
                name = names[entry.name, place]
                before = entry.calls[place - 1].outputs if place else ()
                if head and set(before) & set(call.inputs) and self._follows(call):
                    self._followers.setdefault(head, []).append(name)
                else:
                    head = name
                self._calls.setdefault(name, call)
        turns = {name: self._turns(name, Folding()) for name in self._calls}
        following = {name for names in self._followers.values() for name in names}
        least = _SHARE * sum(turns.values())
        self.heads = [n for n, t in turns.items() if t > least and n not in following]

    def _follows(self, call: Call) -> bool:
        """Whether a folding of `call` takes all of its own folds at once."""
        (out, *more) = call.nest.outs
        return (
            not more
            and bool(out.dims)
            and not call.point
            and out.fold is not None
            and (call.nest.sizes[call.nest.folded_dims(out)[-1]] <= 16)
        )

    def _turns(self, name: str, folding: Folding) -> int:
        call = self._calls[name]
        return sum(loops(call, out, folding).turns for out in call.nest.outs)

    def options(self, name: str) -> tuple[Folding, ...]:
        return foldings(self._calls[name], self._program.constants)

    def _folded(self, head: str, folding: Folding) -> dict[str, Folding]:
        """The head and what follows it."""
        folded = {head: folding}
        for name in self._followers.get(head, ()):
            legal = [f for f in self.options(name) if f.pe == folding.pe]
            folded[name] = max(legal, key=lambda f: f.simd, default=Folding())
        return folded

    def combined(self) -> tuple[Point, ...]:
        """Combinations of foldings that no other one promises to beat."""
        every = {
            name: f for head in self.heads for name, f in self._folded(head, Folding()).items()
        }
        base = evaluate(self._whole, every, self._block_bits)
        inferring = evaluate(self._program, every, self._block_bits)
        found: tuple[Point, ...] = (base,)
        for head in self.heads:
            steps = []
            for folding in self.options(head):
                if folding.pe * folding.simd <= MOST_LANES:
                    steps.append(self._alone(every, self._folded(head, folding)))
            known = pareto(step for step in steps if step is not None)
            found = pareto(_sum(point, step, inferring) for point in found for step in known)
        return found

    def _alone(self, every: Mapping[str, Folding], folded: Mapping[str, Folding]) -> Point | None:
        """One unit's folding beside others of one lane; None where it cannot be printed."""
        try:
            return evaluate(self._program, {**every, **folded}, self._block_bits)
        except InputError:
            return None


def _sum(point: Point, step: Point, base: Point) -> Point:
    """`point` with what `step` changes of `base`."""
    changed = {n: f for n, f in step.foldings.items() if f != base.foldings[n]}
    return Point(
        {**point.foldings, **changed},
        point.block_bits,
        point.cycles + step.cycles - base.cycles,
        point.luts + step.luts - base.luts,
        point.brams + step.brams - base.brams,
        point.dsps + step.dsps - base.dsps,
    )


def _told(point: Point) -> str:
    return f"{point.luts} LUT, {point.brams:g} BRAM and {point.cycles} cycles"
