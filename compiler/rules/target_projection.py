"""Target projection: each hidden layer learns to give a random code of the label.

tpSGD, of Lomnitz, Daniels, Zhang and Piacentino, "Learning with Local Gradients at the Edge", 2022.

t = P y*;  W ← W + rate·((t − a) ⊙ σ′(z)) xᵀ, or with sign(t − a) in the place of t − a.
"""

from edgetrain.compiler.graph import Graph, Value
from edgetrain.compiler.rules.descend import descend
from edgetrain.compiler.rules.learner import Estimate, Sample
from edgetrain.compiler.rules.learning import INTEGER, PRECISIONS, Learning
from edgetrain.compiler.rules.local import layer_by_layer, projected_target
from edgetrain.compiler.rules.network import Network
from edgetrain.compiler.rules.registry import Option, register

OPTIONS = (
    Option("norm", 2, 1, 2, "of the distance to the hidden targets: 1 or 2"),
    Option("scale", 1.0, 0.0, 1e3, "hidden targets are uniform from -scale to scale"),
)


def target_projection(sample: Sample) -> Estimate:
    """The gradients of each layer's distance to its own target."""
    b, how = sample.b, sample.how

    def error(layer: int, output: Value) -> Value:
        (size,) = output.type.shape
        target = projected_target(sample, layer, size, how.option("scale"))
        difference = sample.distance(output, target)
        return difference if how.option("norm") == 2 else b.apply("signum", difference)

    return layer_by_layer(sample, error)


@register("target-projection", options=OPTIONS, precisions=(*PRECISIONS, INTEGER))
def rule(infer: Network, how: Learning) -> Graph:
    """Each hidden layer learns a random code of the label by itself (tpSGD)."""
    return descend(infer, how, target_projection)
