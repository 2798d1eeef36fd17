"""Updates of parameters."""

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter
from edgetrain.compiler.onnx_io.expansions.registry import as_float, column, expands


def _scaled(e: Emitter, node: Node, x: str, factor: float) -> str:
    return e.node("Mul", x, e.number(factor, node.inputs[0].type.scalar))


@expands("sgd")
def sgd(e: Emitter, node: Node, w: str, g: str, now: str | None = None) -> str:
    if node.attributes.get("decay"):
        g = e.node("Add", g, _scaled(e, node, w, node.attributes["decay"]))
    step = e.node("Mul", g, now) if now else _scaled(e, node, g, node.attributes["rate"])
    return e.node("Sub", w, step)


@expands("momentum")
def momentum(e: Emitter, node: Node, m: str, g: str) -> str:
    return e.node("Add", _scaled(e, node, m, node.attributes["momentum"]), g)


def _average(e: Emitter, node: Node, m: str, g: str) -> str:
    keep = node.attributes["keep"]
    return e.node("Add", _scaled(e, node, m, keep), _scaled(e, node, g, 1 - keep))


@expands("average")
def average(e: Emitter, node: Node, m: str, g: str) -> str:
    return _average(e, node, m, g)


@expands("average_square")
def average_square(e: Emitter, node: Node, v: str, g: str) -> str:
    return _average(e, node, v, e.node("Mul", g, g))


@expands("adam_rate")
def adam_rate(e: Emitter, node: Node, q: str, now: str | None = None) -> str:
    rate = now or e.number(node.attributes["rate"], node.inputs[0].type.scalar)
    return e.node("Div", rate, q)


@expands("adam_norm")
def adam_norm(e: Emitter, node: Node, q: str) -> str:
    return e.node("Reciprocal", e.node("Sqrt", q))


@expands("adam")
def adam(
    e: Emitter, node: Node, w: str, m: str, v: str, a: str, s: str, now: str | None = None
) -> str:
    epsilon, decay = node.attributes["epsilon"], node.attributes.get("decay")
    size = e.node("Mul", e.node("Sqrt", v), s)
    size = e.node("Add", size, e.number(epsilon, node.inputs[0].type.scalar))
    step = e.node("Div", e.node("Mul", m, a), size)
    if decay:
        rate = now or e.number(node.attributes["rate"], node.inputs[0].type.scalar)
        w = e.node("Sub", w, e.node("Mul", rate, _scaled(e, node, w, decay)))
    return e.node("Sub", w, step)


@expands("rank_one")
def rank_one(e: Emitter, node: Node, w: str, x: str, d: str) -> str:
    factor, scaled = node.attributes["factor"], node.attributes["scaled"]
    x = as_float(e, node, 1, x)
    if scaled == "x":
        x = _scaled(e, node, x, factor)
    elif scaled == "d":
        d = _scaled(e, node, d, factor)
    return e.node("Add", w, e.node("Mul", column(e, x), d))
