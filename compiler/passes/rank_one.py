"""Fuses the gradient of a layer's weights into their update, so that it is never stored."""

from dataclasses import dataclass

from edgetrain.compiler.graph import Graph, Node, Value
from edgetrain.compiler.ops import OPS


@dataclass(frozen=True, slots=True)
class RankOneUpdate:
    """w − rate·(x dᵀ) → w + x·(−rate·d)ᵀ, by one fused multiply-add an element where the
    features have one for its type.

    Where the gradient of the layer's input is computed from the same w and d, and nothing may
    cancel the step, −rate is joined to x instead: then both results need nothing but x, d and one
    look at each weight (see `JoinSiblings`).

    Not exact: −rate·d (or −rate·x) is rounded before it meets its partner, the gradient itself no
    more.
    """

    features: frozenset[str]
    name: str = "rank-one-update"
    exact: bool = False

    @property
    def _vectors(self) -> bool:
        return not self.features.isdisjoint({"mve-fp", "rvv"})

    def apply(self, graph: Graph) -> Graph:
        makers = {node.outputs[0]: node for node in graph.nodes}
        uses = [value for node in graph.nodes for value in node.inputs]
        updates = {state.next for state in graph.states}
        backward = {node.inputs for node in graph.nodes if node.op == "matmul_t"}
        nodes: list[Node] = []
        for node in graph.nodes:
            gradient = makers.get(node.inputs[1]) if node.op == "sgd" else None
            if (
                gradient is None
                or len(node.inputs) > 2
                or gradient.op != "outer"
                or uses.count(gradient.outputs[0]) != 1
                or node.attributes["decay"]
            ):
                nodes.append(node)
                continue
            w, (x, d) = node.inputs[0], gradient.inputs
            factor = -node.attributes["rate"]
            scaled: str | None = "d"
            if (d, w) in backward and node.outputs[0] in updates:
                scaled = "x"
                if self._vectors:
                    # All at once is quicker than one by one in the loop over the rows.
                    nest = OPS["scale"].meaning(x.type, factor=factor)
                    step = Value(f"{node.outputs[0].name}_step", x.type)
                    sibling = next(i for i, n in enumerate(nodes) if n.inputs == (d, w))
                    steps = Node("scale", nest, (x,), (step,), {"factor": factor})
                    nodes.insert(sibling, steps)
                    x, scaled = step, None
            fused = f"fma{w.type.scalar.bits}" in self.features
            how = {"factor": factor, "fused": fused, "scaled": scaled}
            nest = OPS["rank_one"].meaning(w.type, x.type, d.type, **how)
            nodes.append(Node("rank_one", nest, (w, x, d), node.outputs, how))
        return graph.with_nodes(nodes, graph.constants)
