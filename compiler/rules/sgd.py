"""Stochastic gradient descent: w ← w − rate·(g + decay·w)."""

from edgetrain.compiler.graph import Graph
from edgetrain.compiler.rules.descend import descend
from edgetrain.compiler.rules.learner import back_propagation
from edgetrain.compiler.rules.learning import INTEGER, PRECISIONS, Learning
from edgetrain.compiler.rules.network import Network
from edgetrain.compiler.rules.registry import register


@register("sgd", precisions=(*PRECISIONS, INTEGER))
def sgd(infer: Network, how: Learning) -> Graph:
    """Back-propagation and plain gradient descent, with weight decay if wished."""
    return descend(infer, how, back_propagation)
