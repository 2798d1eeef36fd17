"""Activations in few bits."""

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter, element_type
from edgetrain.compiler.onnx_io.expansions.registry import at_least, at_most, expands, spread
from edgetrain.compiler.ops.saved import steps
from edgetrain.compiler.types import FLOAT32, Int


def _float(e: Emitter, x: str) -> str:
    return e.node("Cast", x, to=element_type(FLOAT32))


@expands("save")
def save(e: Emitter, node: Node, x: str, greatest: str) -> str:
    within = node.attributes["within"]
    lo, hi, one, none = (e.integers(n) for n in (within.lo, within.hi, 1, 0))
    zero = e.number(0.0, FLOAT32)
    x, greatest = _float(e, x), _float(e, spread(e, node, 1, greatest))
    scaled = e.node("Mul", x, e.node("Div", e.number(steps(within), FLOAT32), greatest))
    number = e.node("Where", e.node("IsNaN", scaled), zero, e.node("Floor", scaled))
    limit = float(steps(within))
    held = e.node("Clip", number, e.number(-limit, FLOAT32), e.number(limit, FLOAT32))
    step = e.node("Cast", held, to=element_type(within))
    if within.lo == 0:
        above = at_least(e, at_most(e, e.node("Add", step, one), hi), one)
        return e.node("Where", e.node("Less", zero, x), above, none)
    below = at_least(e, at_most(e, step, e.integers(-1)), lo)
    return e.node("Where", e.node("Less", x, zero), below, at_least(e, at_most(e, step, hi), none))


@expands("restore")
def restore(e: Emitter, node: Node, n: str, greatest: str) -> str:
    within, to = node.inputs[0].type.scalar, node.attributes["to"]
    assert isinstance(within, Int)
    double = e.node("Add", n, n)
    halves = e.node("Add", double, e.integers(1))
    if not within.signed:
        halves = at_least(e, e.node("Sub", double, e.integers(1)), e.integers(0))
    unit = e.number(1 / (2 * steps(within)), FLOAT32)
    size = e.node("Mul", _float(e, spread(e, node, 1, greatest)), unit)
    value = e.node("Mul", _float(e, halves), size)
    return value if to == FLOAT32 else e.node("Cast", value, to=element_type(to))
