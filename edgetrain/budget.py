"""The largest update of a network's parameters that a given RAM holds."""

import re
from collections.abc import Callable, Sequence

from edgetrain.compiler.errors import InputError
from edgetrain.pipeline import Program

_UNITS = {"": 1, "K": 1024, "M": 1024**2}


def parse_bytes(text: str | int) -> int:
    """A number of bytes, of KiB (`64K`) or of MiB (`1M`).  Raises InputError."""
    found = re.fullmatch(r"(\d{1,12})([KM]?)", str(text).strip().upper())
    if found is None:
        raise InputError(f"--budget-ram is {text!r}", remedy="give bytes, or as in 64K or 1M")
    return int(found[1]) * _UNITS[found[2]]


def fit_update(
    compile_update: Callable[[str], Program],
    limit: int,
    overhead: Callable[[Program], int],
) -> Program:
    """The program that `compile_update` makes of the largest update within `limit` bytes of RAM.

    The parameters are tried one after the other, from the last layer backwards, of each layer the
    bias, the gains and then the weights, and each is kept with which state, arena and `overhead`
    (of which the stack is the greatest part) still fit.  Raises InputError where no parameter fits.
    """
    everything = compile_update("all")
    order = _order([name for name in everything.initial if re.fullmatch(r"[wgb]\d+", name)])
    known = {"all": everything}

    def compiled(names: Sequence[str]) -> Program:
        spec = "all" if len(names) == len(order) else ",".join(names)
        if spec not in known:
            known[spec] = compile_update(spec)
        return known[spec]

    beside = 0
    while True:
        chosen: list[str] = []
        for name in order:
            if _planned(compiled([*chosen, name])) + beside <= limit:
                chosen.append(name)
        if not chosen:
            break
        program = compiled(chosen)
        measured = overhead(program)
        if _planned(program) + measured <= limit:
            return program
        beside = measured  # greater than before, so that this ends
    smallest = min((compiled([name]) for name in order), key=_planned)
    needed = _planned(smallest) + overhead(smallest)
    if needed <= limit:
        return smallest
    raise InputError(
        f"the smallest update needs {needed} bytes of RAM, {needed - limit} more than --budget-ram",
        remedy=f"give at least {needed}, or a smaller --batch",
    )


def _planned(program: Program) -> int:
    return program.state_bytes + program.arena_bytes


def _order(names: Sequence[str]) -> list[str]:
    """The last layer first, of each the bias, the gains, the weights."""
    return sorted(names, key=lambda name: (-int(name[1:]), name[0]))
