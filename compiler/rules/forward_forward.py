"""Forward-forward (Hinton, "The Forward-Forward Algorithm: Some Preliminary Investigations", 2022).

The first inputs hold a label.  Every layer is given what the layer before makes, at unit length,
and learns by itself to be excited where the label is right and calm where it is wrong: with the
goodness g = Σ a² of its outputs a, it minimises log(1 + e^(θ − g)) for a right label, and
log(1 + e^(g − θ)) for a wrong one.  The class is the label that excites all layers most.
"""

from dataclasses import dataclass

import numpy as np

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph, GraphBuilder, Value
from edgetrain.compiler.rules.descend import descend
from edgetrain.compiler.rules.layers import layers_of
from edgetrain.compiler.rules.learner import RULE_STREAM, Estimate, Sample
from edgetrain.compiler.rules.learning import Learning
from edgetrain.compiler.rules.network import Network
from edgetrain.compiler.rules.registry import OWN_LOSS, Option, register
from edgetrain.compiler.rules.step import step_counter
from edgetrain.compiler.types import Int, TensorType

OPTIONS = (
    Option("classes", 0, 0, 4096, "labels, in the first inputs; 0: as many as outputs"),
    Option("threshold", 2.0, 0.0, 1e3, "of a layer's goodness, between wrong and right labels"),
    Option("skip", 0, 0, 100, "first layers whose goodness does not count for the class"),
)


@dataclass(frozen=True)
class Activity:
    """What a layer makes, or the input, and its goodness: the sum of its squares."""

    a: Value
    goodness: Value

    @staticmethod
    def of(b: GraphBuilder, a: Value) -> "Activity":
        """That of a layer which has made `a`."""
        return Activity(a, b.apply("square_sum", a))

    @staticmethod
    def labelled(b: GraphBuilder, x: Value, label: Value, classes: int) -> "Activity":
        """That of the input `x` with a label in its first elements."""
        return Activity.of(b, b.apply("with_label", label, x, classes=classes))

    def at_unit_length(self, b: GraphBuilder) -> Value:
        """What the next layer is given: not how much, but what the layer before was excited by."""
        return b.apply("scale_by", self.a, b.apply("inverse_length", self.goodness))


def count_classes(network: Network, how: Learning) -> int:
    """Raises InputError where the input has no room for a label and anything else."""
    (inputs,), (outputs,) = (values[0].type.shape for values in (network.inputs, network.outputs))
    classes = int(how.option("classes")) or outputs
    if not 2 <= classes < inputs:
        raise InputError(
            f"{classes} classes in {inputs} inputs",
            remedy="give a model with an input for each of at least two classes, and more; "
            "set classes, where it has not one output for each",
        )
    return classes


def scores(network: Network, how: Learning) -> Graph:
    """The graph (x) → the summed goodness with each label; what x holds in its place is ignored."""
    classes, layers = count_classes(network, how), layers_of(network)
    counted = layers[int(how.option("skip")) :]
    if not counted:
        raise InputError(f"skip leaves none of {len(layers)} layers", remedy="set it lower")
    b = GraphBuilder(network.name, finite_inputs=network.finite_inputs)
    x = b.input(network.inputs[0].name, network.inputs[0].type)
    known = b.constants_of(network) | b.states_of(network)
    found = b.constant(np.zeros(classes, np.float32))
    for number in range(classes):
        label = b.constant(np.array(number), Int(0, classes - 1))
        last = Activity.labelled(b, x, label, classes)
        counting: list[Value] = []
        for layer in layers:
            values = b.append(layer.nodes, {**known, layer.input: last.at_unit_length(b)})
            last = Activity.of(b, values[layer.output])
            if layer in counted:
                counting.append(last.goodness)
        found = b.apply("put", found, label, b.total(counting))
    b.output(network.output_names[0], found)
    return b.build()


def forward_forward(sample: Sample) -> Estimate:
    """The gradients of each layer's own loss, of the true label and another one."""
    b, how, right = sample.b, sample.how, sample.target
    assert isinstance(right.type.scalar, Int)
    classes, threshold = right.type.scalar.hi + 1, how.option("threshold")
    numbers = {"classes": classes, "seed": how.seed, "stream": RULE_STREAM}
    wrong = b.apply("other_label", right, step_counter(b), *sample.numbers, **numbers)
    sides = [Activity.labelled(b, sample.x, label, classes) for label in (right, wrong)]
    gradients: dict[Value, Value] = {}
    losses: list[Value] = []
    for layer in sample.layers:
        runs = [sample.run(layer.nodes, {layer.input: s.at_unit_length(b)}) for s in sides]
        sides = [Activity.of(b, run[layer.output]) for run in runs]
        losses.append(b.apply("contrast", *(s.goodness for s in sides), threshold=threshold))
        for run, side, good in zip(runs, sides, (True, False), strict=True):
            slope = b.apply("contrast_slope", side.goodness, threshold=threshold, good=good)
            seed = sample.seed(side.a, b.apply("scale_by", side.a, slope))
            for value, part in sample.gradients(run, {layer.output: seed}).items():
                known = gradients.get(value)
                gradients[value] = part if known is None else b.apply("add", known, part)
    return Estimate(b.total(losses), gradients)


@register("forward-forward", options=OPTIONS, infer=scores, losses=OWN_LOSS)
def rule(network: Network, how: Learning) -> Graph:
    """Each layer learns to be excited by right labels in its input, and calm by wrong ones."""
    label = TensorType((), Int(0, count_classes(network, how) - 1))
    return descend(network, how, forward_forward, label)
