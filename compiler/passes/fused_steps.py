"""Takes a step of descent by one fused multiply-add an element."""

from dataclasses import dataclass, replace

from edgetrain.compiler.expr import Apply, Const, Expr, fma
from edgetrain.compiler.graph import Graph, Node
from edgetrain.compiler.types import Float


@dataclass(frozen=True, slots=True)
class FuseSteps:
    """w − g·rate, with a constant rate, → fma(g, −rate, w), where the features have one.

    Not exact: the product is no longer rounded by itself.
    """

    features: frozenset[str]
    name: str = "fuse-steps"
    exact: bool = False

    def apply(self, graph: Graph) -> Graph:
        nodes = [self._fused(node) if node.op == "sgd" else node for node in graph.nodes]
        return graph.with_nodes(nodes, graph.constants)

    def _fused(self, node: Node) -> Node:
        (out,) = node.nest.outs
        body = self._step(out.body)
        if body is None:
            return node
        nest = replace(node.nest, outs=(replace(out, body=body),))
        return replace(node, nest=nest)

    def _step(self, body: Expr) -> Expr | None:
        match body:
            case Apply("sub", (w, Apply("mul", (gradient, Const(rate))))) if isinstance(
                body.type, Float
            ):
                if f"fma{body.type.bits}" in self.features:
                    return fma(gradient, -rate, w)
        return None
