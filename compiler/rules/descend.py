"""Plain gradient descent on what a rule estimates, in every precision."""

from collections.abc import Callable

from edgetrain.compiler.graph import Graph
from edgetrain.compiler.rules.integer import learn_in_integers
from edgetrain.compiler.rules.learner import Estimate, Sample, Slopes, learn
from edgetrain.compiler.rules.learning import INTEGER, Learning
from edgetrain.compiler.rules.network import Network
from edgetrain.compiler.rules.optimiser import descends_in_half, descent
from edgetrain.compiler.types import TensorType


def descend(
    infer: Network,
    how: Learning,
    estimate: Callable[[Sample], Estimate | Slopes],
    target: TensorType | None = None,
) -> Graph:
    """`learn` by plain gradient descent: in half precision FLOAT16 serves for the update too, where
    no factor loses bits in it; in integers nothing is a float."""
    if how.family == INTEGER:
        return learn_in_integers(infer, how, estimate)
    half = descends_in_half(how)
    return learn(infer, how, estimate, descent(how), any_float=half, target=target)
