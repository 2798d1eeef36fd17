"""Gradient descent with momentum: m ← momentum·m + g; w ← w − rate·(m + decay·w)."""

from edgetrain.compiler.graph import Graph, GraphBuilder, Value
from edgetrain.compiler.rules.integer import learn_in_integers
from edgetrain.compiler.rules.learner import back_propagation, learn
from edgetrain.compiler.rules.learning import INTEGER, PRECISIONS, Learning
from edgetrain.compiler.rules.network import Network
from edgetrain.compiler.rules.optimiser import Update, learning_rate, zeros_like
from edgetrain.compiler.rules.registry import register


@register("momentum", precisions=(*PRECISIONS, INTEGER))
def momentum(infer: Network, how: Learning) -> Graph:
    """Back-propagation and gradient descent with momentum; one more state a parameter.

    The decay is decoupled: it moves the weight, not the momentum.
    """

    def optimiser(b: GraphBuilder) -> Update:
        rate = learning_rate(b, how)

        def update(name: str, w: Value, gradient: Value) -> Value:
            kept = zeros_like(b, w, f"m_{name}")
            moved = b.apply("momentum", kept, gradient, momentum=how.momentum)
            following = b.update(kept, moved)
            return b.apply("sgd", w, following, *rate.operands, decay=how.decay, **rate.attributes)

        return update

    if how.family == INTEGER:
        return learn_in_integers(infer, how, back_propagation, momentum=True)
    return learn(infer, how, back_propagation, optimiser)
