"""The loops of a unit as counters, of which all units share one set."""

from dataclasses import dataclass

from edgetrain.compiler.expr import Dim, Expr, Local, lift
from edgetrain.compiler.folding import Folding, Loop, loops
from edgetrain.compiler.nest import Out
from edgetrain.compiler.program import Call
from edgetrain.compiler.types import Int
from edgetrain.compiler.unroll import simplified


@dataclass(frozen=True, slots=True)
class Counted:
    """A loop, and the net that counts its turns."""

    loop: Loop
    counter: Local

    @property
    def dim(self) -> Dim:
        return Dim(self.loop.dim, self.loop.size)

    def index(self, lane: int) -> Expr:
        """That of the dim in this lane."""
        if self.loop.turns == 1:
            return lift(lane)
        return simplified("add", simplified("mul", self.counter, lift(self.loop.step)), lift(lane))


@dataclass(frozen=True, slots=True)
class Counters:
    """The loops of one result: those over its elements, and those of its fold, which turn faster.

    The nets are g… and f…, of which g0 and f0 turn fastest.
    """

    free: tuple[Counted, ...]
    folded: tuple[Counted, ...]

    @property
    def every(self) -> tuple[Counted, ...]:
        return (*self.free, *self.folded)

    @property
    def turning(self) -> bool:
        """Whether the fold takes more than one turn."""
        return any(counted.loop.turns > 1 for counted in self.folded)


def counters(call: Call, out: Out, folding: Folding) -> Counters:
    """The counters of one result of `call`."""
    found = loops(call, out, folding)
    return Counters(_counted(found.free, "g"), _counted(found.folded, "f"))


def _counted(along: tuple[Loop, ...], letter: str) -> tuple[Counted, ...]:
    last = len(along) - 1
    return tuple(
        Counted(loop, Local(f"{letter}{last - place}", Int(0, loop.turns - 1)))
        for place, loop in enumerate(along)
    )
