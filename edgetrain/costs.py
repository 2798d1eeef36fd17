"""What a program costs, as far as its nests alone tell."""

from math import prod

from edgetrain.compiler.expr import Apply, Expr
from edgetrain.compiler.nest import Nest
from edgetrain.compiler.program import Entry


def entry_macs(entry: Entry) -> int:
    """Multiply-accumulates of one run of `entry`."""
    return sum(nest_macs(call.nest) for call in entry.calls)


def nest_macs(nest: Nest) -> int:
    """Multiply-accumulates of one run of `nest`: the turns of every sum of products."""
    return sum(
        prod(nest.sizes.values())
        for out in nest.outs
        if out.fold is not None and out.fold.op == "add" and _multiplies(out.fold.term)
    )


def _multiplies(term: Expr) -> bool:
    return isinstance(term, Apply) and (term.op == "mul" or any(map(_multiplies, term.args)))
