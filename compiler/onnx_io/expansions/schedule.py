"""Learning rates that depend on how many steps were taken."""

from math import pi

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter, element_type
from edgetrain.compiler.onnx_io.expansions.registry import at_least, at_most, expands
from edgetrain.compiler.types import Int


@expands("count")
def count(e: Emitter, node: Node, step: str) -> str:
    scalar = node.inputs[0].type.scalar
    assert isinstance(scalar, Int)
    return at_most(e, e.node("Add", step, e.number(1, scalar)), e.number(scalar.hi, scalar))


@expands("learning_rate")
def learning_rate(e: Emitter, node: Node, step: str) -> str:
    given, result = node.attributes, node.outputs[0].type.scalar
    integer = node.inputs[0].type.scalar
    steps, factor, warmup = given["steps"], given["factor"], given["warmup"]

    def number(value: float) -> str:
        return e.number(value, result)

    def share(taken: str, whole: int) -> str:
        """How much of `whole` steps is `taken`, at most 1."""
        held = e.node("Cast", at_most(e, taken, e.number(whole, integer)), to=element_type(result))
        return e.node("Div", held, number(whole))

    taken = at_least(e, e.node("Sub", step, e.number(warmup, integer)), e.number(0, integer))
    rate = number(given["rate"])
    if given["schedule"] == "step":
        periods = e.node("Div", taken, e.number(steps, integer))
        periods = e.node("Cast", periods, to=element_type(result))
        rate = e.node("Mul", e.node("Pow", number(factor), periods), rate)
    elif given["schedule"] in ("linear", "cosine"):
        done = share(taken, steps)
        if given["schedule"] == "cosine":
            wave = e.node("Cos", e.node("Mul", done, number(pi)))
            done = e.node("Mul", e.node("Sub", number(1), wave), number(0.5))
        left = e.node("Sub", number(1), e.node("Mul", done, number(1 - factor)))
        rate = e.node("Mul", left, rate)
    else:
        assert given["schedule"] == "constant"
    if warmup:
        risen = share(e.node("Add", step, e.number(1, integer)), warmup)
        rate = e.node("Mul", rate, risen)
    return rate
