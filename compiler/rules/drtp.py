"""Direct random target projection (Frenkel, Lefebvre and Bol, Frontiers in Neuroscience 15, 2021).

A random projection of the label stands for the gradient of each hidden layer's output:
W ← W − rate·((B y*) ⊙ σ′(z)) xᵀ.
"""

from edgetrain.compiler.graph import Graph, Value
from edgetrain.compiler.rules.descend import descend
from edgetrain.compiler.rules.learner import Estimate, Sample
from edgetrain.compiler.rules.learning import INTEGER, PRECISIONS, Learning
from edgetrain.compiler.rules.local import layer_by_layer, projected_target
from edgetrain.compiler.rules.network import Network
from edgetrain.compiler.rules.registry import Option, register

OPTIONS = (Option("scale", 6**0.5, 0.0, 1e3, "feedback is uniform within scale/√units of a layer"),)


def random_targets(sample: Sample) -> Estimate:
    """The label's projection for the gradient of a hidden layer's output."""

    def error(layer: int, output: Value) -> Value:
        (size,) = output.type.shape
        return projected_target(sample, layer, size, sample.how.option("scale") / size**0.5)

    return layer_by_layer(sample, error)


@register("drtp", options=OPTIONS, precisions=(*PRECISIONS, INTEGER))
def rule(infer: Network, how: Learning) -> Graph:
    """Direct random target projection: the label stands for each hidden layer's gradient."""
    return descend(infer, how, random_targets)
