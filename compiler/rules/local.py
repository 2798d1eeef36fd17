"""What rules share by which a layer learns from an error of its own."""

from collections.abc import Callable

from edgetrain.compiler.graph import Value
from edgetrain.compiler.rules.learner import Estimate, Sample


def layer_by_layer(sample: Sample, error: Callable[[int, Value], Value]) -> Estimate:
    """Each hidden layer learns from its `error(number, output)`, the gradient by its output in real
    units, the last one from the loss; nothing goes back from a layer to the one before."""
    gradients: dict[Value, Value] = {}
    a = sample.x
    for number, layer in enumerate(sample.layers):
        run = sample.run(layer.nodes, {layer.input: a})
        a = run[layer.output]
        if layer is not sample.layers[-1]:
            own = error(number, a)
        else:
            loss, own = sample.loss(a)
        gradients |= sample.gradients(run, {layer.output: sample.seed(a, own)})
    return Estimate(loss, gradients)


def projected_target(sample: Sample, layer: int, size: int, bound: float) -> Value:
    """P y*: the one-hot label, or of a loss without one the target, through the layer's matrix of
    `size` rows, uniform from −bound to bound."""
    op = "project_label" if sample.how.loss_entry.classifies else "project"
    return sample.projected(op, sample.target, layer, size, bound)
