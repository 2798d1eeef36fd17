"""Stochastic gradient descent: w ← w − rate·(g + decay·w)."""

from edgetrain.compiler.graph import Graph, GraphBuilder, Value
from edgetrain.compiler.rules.descent import Update, descend, learning_rate
from edgetrain.compiler.rules.registry import Learning, register


@register("sgd")
def sgd(infer: Graph, how: Learning) -> Graph:
    """Back-propagation and plain gradient descent, with weight decay if wished."""

    def optimiser(b: GraphBuilder) -> Update:
        rate = learning_rate(b, how)

        def update(w: Value, gradient: Value) -> Value:
            return b.apply("sgd", w, gradient, *rate.operands, decay=how.decay, **rate.attributes)

        return update

    return descend(infer, how, optimiser)
