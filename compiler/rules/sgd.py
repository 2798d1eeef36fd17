"""Stochastic gradient descent: w ← w − rate·(g + decay·w)."""

from edgetrain.compiler.graph import Graph, GraphBuilder, Value
from edgetrain.compiler.rules.descent import descend
from edgetrain.compiler.rules.registry import Learning, register


@register("sgd")
def sgd(infer: Graph, how: Learning) -> Graph:
    """Back-propagation and plain gradient descent, with weight decay if wished."""

    def update(b: GraphBuilder, w: Value, gradient: Value) -> Value:
        return b.apply("sgd", w, gradient, rate=how.rate, decay=how.decay)

    return descend(infer, how, update)
