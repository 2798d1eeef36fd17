"""Stochastic gradient descent: w ← w − rate·(g + decay·w)."""

from edgetrain.compiler.graph import Graph
from edgetrain.compiler.rules.learner import back_propagation, learn
from edgetrain.compiler.rules.network import Network
from edgetrain.compiler.rules.optimiser import descends_in_half, descent
from edgetrain.compiler.rules.registry import PRECISIONS, Learning, register


@register("sgd", precisions=PRECISIONS)
def sgd(infer: Network, how: Learning) -> Graph:
    """Back-propagation and plain gradient descent, with weight decay if wished."""
    return learn(infer, how, back_propagation, descent(how), any_float=descends_in_half(how))
