"""From accumulators to the integers of the next layer."""

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter, element_type
from edgetrain.compiler.onnx_io.expansions.registry import at_least, at_most, column, expands, total


@expands("threshold")
def threshold(e: Emitter, node: Node, x: str, t: str) -> str:
    scalar = node.inputs[0].type.scalar
    reached = e.node("Cast", e.node("LessOrEqual", t, column(e, x)), to=element_type(scalar))
    count = total(e, reached)
    lowest = node.attributes.get("lowest", 0)
    return e.node("Add", count, e.number(lowest, scalar)) if lowest else count


@expands("requantise")
def requantise(e: Emitter, node: Node, x: str, m: str, b: str) -> str:
    scalar, within = node.inputs[0].type.scalar, node.attributes["within"]
    # BitShift is for unsigned integers and Div rounds to zero: take the remainder off before.
    power = e.number(2 ** node.attributes["shift"], scalar)
    line = e.node("Add", e.node("Mul", x, m), b)
    whole = e.node("Div", e.node("Sub", line, e.node("Mod", line, power)), power)
    return at_most(e, at_least(e, whole, e.number(within.lo, scalar)), e.number(within.hi, scalar))


@expands("straight_through")
def straight_through(
    e: Emitter, node: Node, d: str, x: str, lo: str, hi: str, slope: str | None = None
) -> str:
    within = e.node("And", e.node("LessOrEqual", lo, x), e.node("Less", x, hi))
    zero = e.number(0, node.inputs[0].type.scalar)
    return e.node("Where", within, d if slope is None else e.node("Mul", d, slope), zero)
