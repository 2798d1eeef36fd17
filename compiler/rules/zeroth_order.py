"""Gradient descent from the loss alone, at parameters moved to and fro along a random direction.

Two forward passes for a direction z give a slope, and the step is along z:

    g = (L(w + εz) − L(w − εz))/(2ε);  w ← w − rate·(g·z + decay·w)

MeZO (Malladi et al., "Fine-Tuning Language Models with Just Forward Passes", 2023, algorithm 1), by
the estimate of simultaneous perturbation (Spall, 1992).  z is computed again wherever it is needed,
so that neither z nor w ± εz is stored; several directions are averaged.

With the mask `small` Sparse-MeZO (Liu et al., 2024, algorithms 1 to 3): of a weight matrix only
elements with |w| ≤ h are moved and learn, h fixed before training so that a share of them does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgetrain.compiler.graph import Graph, GraphBuilder, Value
from edgetrain.compiler.rules.descend import descend
from edgetrain.compiler.rules.learner import RULE_STREAM, Sample, Slopes
from edgetrain.compiler.rules.learning import Learning
from edgetrain.compiler.rules.network import Network
from edgetrain.compiler.rules.parameter import Parameter
from edgetrain.compiler.rules.registry import Option, register
from edgetrain.compiler.rules.step import step_counter
from edgetrain.compiler.types import FLOAT32, Int

EPSILON = Option("epsilon", 1e-3, 1e-6, 1.0, "how far parameters are moved")
DIRECTIONS = Option("directions", 1, 1, 32, "random directions a step")
SIGNS = Option("signs", 0, 0, 1, "1: move each by epsilon up or down, not by a normal number")
SPARSITY = Option("sparsity", 0.8, 0.0, 0.99, "with --mask small: the share that does not learn")


@register(
    "zeroth-order",
    options=(EPSILON, DIRECTIONS, SIGNS, SPARSITY),
    precisions=("fp32", "quantised"),
    masks=("small",),
    scales=("frozen",),
)
def zeroth_order(infer: Network, how: Learning) -> Graph:
    """Two forward passes beside the parameters, and a step along their difference (MeZO)."""
    return descend(infer, how, _slopes)


@dataclass(frozen=True)
class _Directions:
    """Random directions in the space of the parameters, the same for all samples.

    `thresholds`: how large a number may be that is moved, of the parameters of which not all are.
    """

    how: Learning
    parameters: tuple[Parameter, ...]
    thresholds: Mapping[Parameter, float]

    def part(self, b: GraphBuilder, direction: int, parameter: Parameter, scale: float) -> Value:
        """What of `direction` concerns `parameter`, times `scale`."""
        last = int(self.how.option("directions")) - 1
        z = b.apply(
            "random",
            step_counter(b),
            *([b.constant(np.array(direction), Int(0, last))] if last else []),
            shape=parameter.latent.type.shape,
            distribution="rademacher" if self.how.option("signs") else "normal",
            scale=scale,
            seed=self.how.seed,
            stream=RULE_STREAM + self.parameters.index(parameter),
        )
        if parameter not in self.thresholds:
            return z
        most = self.thresholds[parameter]
        return b.apply("where_small", z, parameter.number(b, FLOAT32), most=most)

    def moved(self, b: GraphBuilder, direction: int, by: float) -> dict[Value, Value]:
        """What the network computes with once all parameters are moved along `direction`."""
        found = {}
        for parameter in self.parameters:
            number = parameter.number(b, FLOAT32)
            moved = b.apply("add", number, self.part(b, direction, parameter, by))
            found[parameter.deployed] = parameter.deploy_number(b, moved)
        return found

    def along(self, b: GraphBuilder, slopes: Sequence[Value]) -> dict[Parameter, Value]:
        """The gradients that the slopes along all directions make together."""
        found = {}
        for parameter in self.parameters:
            parts = [
                b.apply("scale_by", self.part(b, direction, parameter, 1.0), slope)
                for direction, slope in enumerate(slopes)
            ]
            found[parameter] = _total(b, parts)
        return found


def _slopes(sample: Sample) -> Slopes:
    b, how, count = sample.b, sample.how, int(sample.how.option("directions"))
    epsilon = how.option("epsilon")
    directions = _Directions(how, sample.parameters, _thresholds(sample))
    losses, slopes = [], []
    for direction in range(count):
        up, down = (_loss(sample, directions.moved(b, direction, by)) for by in (epsilon, -epsilon))
        rise = b.apply("scale", b.apply("subtract", up, down), factor=1 / (2 * epsilon * count))
        losses += [up, down]
        slopes.append(sample.seed(up, rise))
    loss = b.apply("scale", _total(b, losses), factor=1 / len(losses))
    return Slopes(loss, tuple(slopes), directions.along)


def _loss(sample: Sample, moved: Mapping[Value, Value]) -> Value:
    """The loss of the network with other parameters."""
    inputs, outputs = sample.infer.inputs[0], sample.infer.outputs[0]
    run = sample.run(sample.infer.nodes, {inputs: sample.x, **moved})
    return sample.loss(run[outputs])[0]


def _total(b: GraphBuilder, values: Sequence[Value]) -> Value:
    total, *rest = values
    for value in rest:
        total = b.apply("add", total, value)
    return total


def _thresholds(sample: Sample) -> dict[Parameter, float]:
    """Of each weight matrix, such that the wished share learns.  Vectors learn whole: biases begin
    at zero as a rule, and the threshold would be zero too."""
    found: dict[Parameter, float] = {}
    keep = 1 - sample.how.option("sparsity")
    for parameter in sample.parameters:
        if sample.how.mask == "small" and len(parameter.latent.type.shape) > 1:
            numbers = parameter.numbers(sample.b.initial(parameter.latent))
            sizes = np.sort(np.abs(numbers), axis=None)
            last = min(max(1, round(keep * len(sizes))), len(sizes) - 1)
            # Midway, so that no rounding matters.
            found[parameter] = float(sizes[last - 1 : last + 1].mean())
    return found
