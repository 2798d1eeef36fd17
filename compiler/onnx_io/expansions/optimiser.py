"""Updates of parameters."""

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter
from edgetrain.compiler.onnx_io.expansions.registry import column, expands


def _scaled(e: Emitter, node: Node, x: str, factor: float) -> str:
    return e.node("Mul", x, e.number(factor, node.inputs[0].type.scalar))


@expands("sgd")
def sgd(e: Emitter, node: Node, w: str, g: str) -> str:
    if node.attributes.get("decay"):
        g = e.node("Add", g, _scaled(e, node, w, node.attributes["decay"]))
    return e.node("Sub", w, _scaled(e, node, g, node.attributes["rate"]))


@expands("momentum")
def momentum(e: Emitter, node: Node, m: str, g: str) -> str:
    return e.node("Add", _scaled(e, node, m, node.attributes["momentum"]), g)


@expands("rank_one")
def rank_one(e: Emitter, node: Node, w: str, x: str, d: str) -> str:
    factor = node.attributes["factor"]
    if node.attributes["scale_x"]:
        x = _scaled(e, node, x, factor)
    else:
        d = _scaled(e, node, d, factor)
    return e.node("Add", w, e.node("Mul", column(e, x), d))
