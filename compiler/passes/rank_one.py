"""Fuses the gradient of a layer's weights into their update, so that it is never stored."""

from dataclasses import dataclass

from edgetrain.compiler.graph import Graph, Node, Value
from edgetrain.compiler.ops import OPS


@dataclass(frozen=True, slots=True)
class RankOneUpdate:
    """w − rate·(x dᵀ) → w + x·(−rate·d)ᵀ, by one fused multiply-add an element if `fused`.

    Not exact: −rate·d is rounded before it meets x, the gradient itself no more.
    """

    fused: bool
    name: str = "rank-one-update"
    exact: bool = False

    def apply(self, graph: Graph) -> Graph:
        makers = {node.outputs[0]: node for node in graph.nodes}
        uses = [value for node in graph.nodes for value in node.inputs]
        nodes: list[Node] = []
        for node in graph.nodes:
            gradient = makers.get(node.inputs[1]) if node.op == "sgd" else None
            if (
                gradient is None
                or gradient.op != "outer"
                or uses.count(gradient.outputs[0]) != 1
                or node.attributes["decay"]
            ):
                nodes.append(node)
                continue
            nodes += self._fuse(node, gradient)
        return graph.with_nodes(nodes, graph.constants)

    def _fuse(self, update: Node, gradient: Node) -> list[Node]:
        w, (x, d) = update.inputs[0], gradient.inputs
        step = Value(f"{update.outputs[0].name}_step", d.type)
        factor = -update.attributes["rate"]
        scaled = Node("scale", OPS["scale"].meaning(d.type, factor=factor), (d,), (step,))
        nest = OPS["rank_one"].meaning(w.type, x.type, step.type, fused=self.fused)
        return [scaled, Node("rank_one", nest, (w, x, step), update.outputs)]
