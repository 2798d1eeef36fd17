"""Gradient descent with momentum: m ← momentum·m + g; w ← w − rate·(m + decay·w)."""

from edgetrain.compiler.graph import Graph, GraphBuilder, Value
from edgetrain.compiler.rules.descent import descend, zeros_like
from edgetrain.compiler.rules.registry import Learning, register


@register("momentum")
def momentum(infer: Graph, how: Learning) -> Graph:
    """Back-propagation and gradient descent with momentum; one more state a parameter.

    The decay is decoupled: it moves the weight, not the momentum.
    """

    def update(b: GraphBuilder, w: Value, gradient: Value) -> Value:
        kept = zeros_like(b, w, "m")
        following = b.apply("momentum", kept, gradient, momentum=how.momentum)
        b.update(kept, following)
        return b.apply("sgd", w, following, rate=how.rate, decay=how.decay)

    return descend(infer, how, update)
