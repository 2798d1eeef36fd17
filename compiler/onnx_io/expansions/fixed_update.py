"""Gradients, rates and updates without floats."""

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter
from edgetrain.compiler.onnx_io.expansions.registry import INEXPRESSIBLE, expands
from edgetrain.compiler.onnx_io.expansions.whole import Whole, rounded_shift
from edgetrain.compiler.types import Int

INEXPRESSIBLE["move_fixed_stochastic"] = "no standard operator multiplies modulo 2^32"


@expands("rescale")
def rescale(e: Emitter, node: Node, x: str, m: str | None = None) -> str:
    how = node.attributes
    product = Whole(e, x) * how.get("factor", 1)
    if m is not None:
        product = product * Whole(e, m)
    return rounded_shift(product, how["shift"]).within(how["within"]).name


def _range(node: Node) -> Int:
    kind = node.inputs[0].type.scalar
    assert isinstance(kind, Int)
    return kind


@expands("move_fixed")
def move_fixed(e: Emitter, node: Node, v: str, g: str) -> str:
    moved = Whole(e, v) + rounded_shift(Whole(e, g), node.attributes["shift"])
    return moved.within(_range(node)).name


@expands("momentum_fixed")
def momentum_fixed(e: Emitter, node: Node, m: str, g: str) -> str:
    faded = rounded_shift(Whole(e, m), node.attributes["fade"])
    return (Whole(e, m) - faded + Whole(e, g)).within(_range(node)).name
