"""Stochastic gradient descent: w ← w − rate·(g + decay·w)."""

from edgetrain.compiler.graph import Graph, GraphBuilder, Value
from edgetrain.compiler.rules.descent import Update, descend, learning_rate
from edgetrain.compiler.rules.registry import Learning, register

LEAST_NORMAL = 2.0**-14
"""Below, FLOAT16 has fewer than eleven significant bits."""


@register("sgd")
def sgd(infer: Graph, how: Learning) -> Graph:
    """Back-propagation and plain gradient descent, with weight decay if wished."""

    def optimiser(b: GraphBuilder) -> Update:
        rate = learning_rate(b, how)

        def update(_: str, w: Value, gradient: Value) -> Value:
            return b.apply("sgd", w, gradient, *rate.operands, decay=how.decay, **rate.attributes)

        return update

    # In half precision FLOAT16 serves for the update too, unless a factor would lose bits in it.
    factors = [value for value in (how.rate, how.decay) if value]
    any_float = how.constant_rate and all(LEAST_NORMAL <= value < 2**15 for value in factors)
    return descend(infer, how, optimiser, any_float=any_float)
