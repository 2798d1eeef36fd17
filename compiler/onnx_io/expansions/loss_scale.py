"""Loss scaling."""

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter, element_type
from edgetrain.compiler.onnx_io.expansions.registry import at_most, expands, spread
from edgetrain.compiler.ops.loss_scale import GREATEST, LEAST, PATIENCE, STEPS
from edgetrain.compiler.types import BOOL, FLOAT32


def _is_set(e: Emitter, flag: str) -> str:
    return e.node("Equal", flag, e.number(1, BOOL))


@expands("scale_by")
def scale_by(e: Emitter, node: Node, x: str, s: str) -> str:
    return e.node("Mul", x, spread(e, node, 1, s))


@expands("reciprocal")
def reciprocal(e: Emitter, node: Node, s: str) -> str:
    return e.node("Reciprocal", s)


@expands("unscale")
def unscale(e: Emitter, node: Node, g: str, r: str) -> str:
    value = e.node("Mul", e.node("Cast", g, to=element_type(FLOAT32)), r)
    to = node.attributes["to"]
    return value if to == FLOAT32 else e.node("Cast", value, to=element_type(to))


@expands("greatest_size")
def greatest_size(e: Emitter, node: Node, x: str) -> str:
    infinity = e.number(float("inf"), node.inputs[0].type.scalar)
    size = e.node("Where", e.node("IsNaN", x), infinity, e.node("Abs", x))
    # All axes but that of a batch.
    folded = len(node.nest.dims) - len(node.nest.outs[0].dims)
    return e.node("ReduceMax", size, e.integers(*range(-folded, 0)), keepdims=0)


@expands("still_finite")
def still_finite(e: Emitter, node: Node, ok: str, a: str, b: str | None = None) -> str:
    size = e.node("Mul", a, b) if b is not None else a
    finite = e.node("Less", size, e.number(float("inf"), node.inputs[1].type.scalar))
    return e.node("Where", finite, ok, e.number(0, BOOL))


@expands("next_loss_scale")
def next_loss_scale(e: Emitter, node: Node, s: str, good: str, ok: str) -> str:
    doubled = e.node("Min", e.node("Mul", s, e.number(2, FLOAT32)), e.number(GREATEST, FLOAT32))
    halved = e.node("Max", e.node("Mul", s, e.number(0.5, FLOAT32)), e.number(LEAST, FLOAT32))
    waits = e.node("Less", good, e.number(PATIENCE - 1, STEPS))
    return e.node("Where", _is_set(e, ok), e.node("Where", waits, s, doubled), halved)


@expands("next_good_steps")
def next_good_steps(e: Emitter, node: Node, good: str, ok: str) -> str:
    last, none = e.number(STEPS.hi, STEPS), e.number(0, STEPS)
    more = at_most(e, e.node("Add", good, e.number(1, STEPS)), last)
    counted = e.node("Where", e.node("Less", good, last), more, none)
    return e.node("Where", _is_set(e, ok), counted, none)
