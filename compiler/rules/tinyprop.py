"""Sparse back-propagation (TinyProp: Rüb, Maier, Mueller-Gritschneder and Sikora, 2023).

Of the gradient δ by the weighted sums of a layer only the k greatest are kept, for the layer's own
weights and biases and for the layer below:  r = (S_min + Y·(S_max − S_min)/Y_max)·ζ^(L − l), with
Y = Σ|δ| and Y_max the greatest Y so far;  k = max(1, round(n·r)).
"""

import numpy as np

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph, Value
from edgetrain.compiler.rules.descend import descend
from edgetrain.compiler.rules.learner import Estimate, Run, Sample
from edgetrain.compiler.rules.learning import INTEGER, PRECISIONS, Learning
from edgetrain.compiler.rules.network import Network
from edgetrain.compiler.rules.registry import Option, register
from edgetrain.compiler.types import FLOAT32

OPTIONS = (
    Option("s_min", 0.25, 0.0, 1.0, "share of a layer's gradient that is kept where it is small"),
    Option("s_max", 0.25, 0.0, 1.0, "share that is kept where it is as large as it has ever been"),
    Option("zeta", 1.0, 0.0, 1.0, "factor of both shares for each layer back from the last"),
)


def sparse_back_propagation(sample: Sample) -> Estimate:
    """The gradients of the loss, of which each layer keeps and passes on a part."""
    runs: list[tuple[Run, Run]] = []
    a = sample.x
    for layer in sample.layers:
        linear = sample.run(layer.linear, {layer.input: a})
        runs.append((linear, sample.run(layer.activation, {layer.sums: linear[layer.sums]})))
        a = runs[-1][1][layer.output]
    loss, error = sample.loss(a)
    d = sample.seed(a, error)
    gradients: dict[Value, Value] = {}
    first = next(i for i, layer in enumerate(sample.layers) if layer.states)
    for number in reversed(range(first, len(runs))):
        layer, (linear, activation) = sample.layers[number], runs[number]
        found = sample.gradients(activation, {layer.output: d}, [layer.sums])
        kept = _greatest(sample, number, found.pop(layer.sums))
        below = [layer.input] if number > first else []
        found |= sample.gradients(linear, {layer.sums: kept}, below)
        if below:
            d = found.pop(layer.input)
        gradients |= found
    return Estimate(loss, gradients)


def _greatest(sample: Sample, layer: int, d: Value) -> Value:
    """`d` with zeros for all but its greatest."""
    b, how, (size,) = sample.b, sample.how, d.type.shape
    factor = how.option("zeta") ** (len(sample.layers) - 1 - layer)
    least, most = (how.option(name) * factor for name in ("s_min", "s_max"))
    magnitudes = b.apply("magnitude", d)
    ranks = b.apply("rank", magnitudes, magnitudes)
    if how.option("s_min") == how.option("s_max"):
        count = max(1, int(size * most + 0.5))
        return d if count == size else b.apply("keep", d, ranks, most=count)
    y = b.apply("sum", magnitudes)
    known = b.state(f"y_max{layer}", np.array(0, np.float32), FLOAT32)
    most_y = b.update(known, b.apply("larger", known, y))
    counted = b.apply("count_share", y, most_y, least=least, most=most, size=size)
    return b.apply("keep", d, ranks, counted)


@register("tinyprop", options=OPTIONS, precisions=(*PRECISIONS, INTEGER))
def rule(infer: Network, how: Learning) -> Graph:
    """Back-propagation of only the greatest gradients of each layer (TinyProp)."""
    least, most = how.option("s_min"), how.option("s_max")
    if least > most:
        raise InputError(f"s_min is {least} and s_max {most}", remedy="give no less for s_max")
    if least < most and (how.batch > 1 or how.precision in ("fp16", INTEGER)):
        raise InputError(
            "s_min below s_max is for a step on one sample, and not for fp16 or integer",
            remedy="give both the same value",
        )
    return descend(infer, how, sparse_back_propagation)
