"""Direct feedback alignment (Nøkland, NeurIPS 2016).

A random projection of the error e = ∂L/∂a of the network's output stands for the gradient of each
hidden layer's output: W ← W − rate·((B e) ⊙ σ′(z)) xᵀ.
"""

from edgetrain.compiler.graph import Graph, Value
from edgetrain.compiler.rules.descend import descend
from edgetrain.compiler.rules.learner import Estimate, Run, Sample
from edgetrain.compiler.rules.learning import INTEGER, PRECISIONS, Learning
from edgetrain.compiler.rules.network import Network
from edgetrain.compiler.rules.registry import Option, register

OPTIONS = (Option("scale", 1.0, 0.0, 1e3, "feedback is uniform within scale/√units of a layer"),)


def direct_feedback(sample: Sample) -> Estimate:
    """The output error's projection for the gradient of a hidden layer's output."""
    runs: list[Run] = []
    a = sample.x
    for layer in sample.layers:
        runs.append(sample.run(layer.nodes, {layer.input: a}))
        a = runs[-1][layer.output]
    loss, error = sample.loss(a)
    gradients: dict[Value, Value] = {}
    for number, (layer, run) in enumerate(zip(sample.layers, runs, strict=True)):
        output, own = run[layer.output], error
        if layer is not sample.layers[-1]:
            (size,) = output.type.shape
            bound = sample.how.option("scale") / size**0.5
            own = sample.projected("project", error, number, size, bound)
        gradients |= sample.gradients(run, {layer.output: sample.seed(output, own)})
    return Estimate(loss, gradients)


@register("dfa", options=OPTIONS, precisions=(*PRECISIONS, INTEGER))
def rule(infer: Network, how: Learning) -> Graph:
    """Direct feedback alignment: the output's error goes to each layer through a random matrix."""
    return descend(infer, how, direct_feedback)
