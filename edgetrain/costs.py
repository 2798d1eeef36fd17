"""What a program costs, as far as its nests alone tell."""

from math import prod

from edgetrain.compiler.expr import Apply, Expr, subexpressions
from edgetrain.compiler.nest import Nest, Out
from edgetrain.compiler.program import Entry


def entry_macs(entry: Entry) -> int:
    """Multiply-accumulates of one run of `entry`."""
    return sum(nest_macs(call.nest) for call in entry.calls)


def nest_macs(nest: Nest) -> int:
    """Multiply-accumulates of one run of `nest`: the turns of every sum of products, and the
    elements of every matrix that has a product added (the update of a layer's weights)."""
    return sum(_out_macs(nest, out) for out in nest.outs)


def _out_macs(nest: Nest, out: Out) -> int:
    if out.fold is not None:
        sums = out.fold.op == "add" and _uses(out.fold.term, "mul")
        return prod(nest.sizes.values()) if sums else 0
    if len(out.dims) < 2 or not (_uses(out.body, "mul") or _uses(out.body, "fma")):
        return 0
    return prod(nest.sizes[d] for d in out.dims)


def _uses(expr: Expr, primitive: str) -> bool:
    return any(isinstance(e, Apply) and e.op == primitive for e in subexpressions(expr))


def entry_multiplications(entry: Entry) -> int:
    """Multiplications, fused ones included, of one run of `entry`."""
    return sum(_multiplications(call.nest) for call in entry.calls)


def _multiplications(nest: Nest) -> int:
    total = 0
    for out in nest.outs:
        total += _count(out.body) * prod(nest.sizes[d] for d in out.dims)
        if out.fold is not None:
            total += _count(out.fold.term) * prod(nest.sizes.values())
    return total


def _count(expr: Expr) -> int:
    nodes = subexpressions(expr)
    return sum(isinstance(node, Apply) and node.op in ("mul", "fma") for node in nodes)
