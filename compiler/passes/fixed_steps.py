"""Takes a step of descent on latent integers in integers: no float an element."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgetrain.compiler.graph import Graph, Node, Value
from edgetrain.compiler.ops import OPS
from edgetrain.compiler.types import Int

FACTOR_BITS = 22
"""Of a column's factor: `quantise` gives up to 24."""
PRODUCT_BITS = 30
"""Of an input times a factor: a sum with them fits 32."""


@dataclass(frozen=True, slots=True)
class FixedSteps:
    """v ← quantise(v·unit − rate·(x dᵀ)), for integers v and x, becomes v ← v + (x qᵀ >> shift)
    with q = −rate·d/unit in units of 2^-shift, an integer a column; rounded as it was.  What is
    deployed of v follows, where q is not 0.  So does v ← v + (x qᵀ >> shift) as it is.

    Not exact: q is rounded before it meets x.
    """

    name: str = "fixed-steps"
    exact: bool = False

    def apply(self, graph: Graph) -> Graph:
        makers = {value: node for node in graph.nodes for value in node.outputs}
        states = {state.next: state.current for state in graph.states}
        factors: dict[Value, Value] = {}
        nodes: list[Node] = []
        for node in graph.nodes:
            step = _step(node, makers) or _integer_step(node, makers)
            if step is not None:
                nodes += step
                factors[node.outputs[0]] = step[-1].inputs[2]
            elif (
                node.op == "round_fixed" and node.inputs[0] in factors and node.outputs[0] in states
            ):
                latent, old = node.inputs[0], states[node.outputs[0]]
                operands = (factors[latent], latent, old)
                nodes.append(_node("round_moved", operands, node.outputs[0], **node.attributes))
            else:
                nodes.append(node)
        return graph.with_nodes(nodes, graph.constants)


def _step(node: Node, makers: Mapping[Value, Node]) -> list[Node] | None:
    """What `node`, the rounding of the descended weights, becomes; None if it is something else."""
    if node.op not in ("quantise", "quantise_stochastic"):
        return None
    sgd = makers.get(node.inputs[0])
    if sgd is None or sgd.op != "sgd" or sgd.attributes["decay"]:
        return None
    before, gradient = (makers.get(value) for value in sgd.inputs[:2])
    if before is None or gradient is None or (before.op, gradient.op) != ("dequantise", "outer"):
        return None
    (v, *_), (x, d) = before.inputs, gradient.inputs
    within = node.attributes["within"]
    if not isinstance(x.type.scalar, Int) or v.type.scalar != within:
        return None
    counter, units = node.inputs[1:2], node.inputs[2:]
    if node.op == "quantise":
        counter, units = (), node.inputs[1:]
    limit = 2 ** min(FACTOR_BITS, PRODUCT_BITS - x.type.scalar.bits)
    # The least input moves a weight by its range, divided by the root of the greatest, at most.
    shift = (limit // (within.hi - within.lo)).bit_length() - 1 + x.type.scalar.bits // 2
    if shift < 1:
        return None
    name = node.outputs[0].name
    nodes: list[Node] = []
    rate = sgd.attributes.get("rate", 0.0)
    for now in sgd.inputs[2:]:
        nodes.append(_node("scale_by", (d, now), Value(f"{name}_step", d.type)))
        (d,), rate = nodes[-1].outputs, 1.0
    q = Value(f"{name}_factor", d.type.with_scalar(Int(-limit, limit)))
    factor = -rate * node.attributes["factor"] * 2.0**shift
    nodes.append(_node("quantise", (d, *units), q, factor=factor, within=Int(-limit, limit)))
    chance = {key: node.attributes[key] for key in ("seed", "stream") if key in node.attributes}
    operands = (v, x, q, *counter)
    nodes.append(_node("step_fixed", operands, node.outputs[0], shift=shift, **chance))
    return nodes


def _integer_step(node: Node, makers: Mapping[Value, Node]) -> list[Node] | None:
    """What `node`, a move of weights by an outer product, becomes; None if it is something else."""
    if node.op not in ("move_fixed", "move_fixed_stochastic"):
        return None
    v, g, *counter = node.inputs
    maker = makers.get(g)
    if maker is None or maker.op != "outer":
        return None
    return [_node("step_fixed", (v, *maker.inputs, *counter), *node.outputs, **node.attributes)]


def _node(op: str, inputs: tuple[Value, ...], output: Value, **attributes: Any) -> Node:
    nest = OPS[op].meaning(*(value.type for value in inputs), **attributes)
    return Node(op, nest, inputs, (output,), attributes)
