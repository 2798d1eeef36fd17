"""Gradient descent from the loss alone, under noise on the sums of one layer at a time.

z_l = W_l·a_{l−1} + b_l.  With σε added to z_l, ε standard normal, and then taken away from it:

    d_l = (L(z_l + σε) − L(z_l − σε))/(2σ)·ε;  ∂W_l ≈ d_l·a_{l−1}ᵀ, ∂b_l ≈ d_l

This is the likelihood ratio method (Peng et al., "A New Likelihood Ratio Method for Training
Artificial Neural Networks", 2022; Jiang et al., "One Forward is Enough for Neural Network Training
via Likelihood Ratio Method", 2024), whose estimate is (L − baseline)/σ·ε·a_{l−1}ᵀ, with two of the
second paper's means against its variance: noise in one layer at a time, and antithetic pairs ε and
−ε, whose halves of any baseline cancel.  Every sample has noise of its own.
"""

from collections.abc import Iterable

from edgetrain.compiler.graph import Graph, Node, Value
from edgetrain.compiler.rules.descend import descend
from edgetrain.compiler.rules.layers import Layer
from edgetrain.compiler.rules.learner import RULE_STREAM, Estimate, Sample
from edgetrain.compiler.rules.learning import Learning
from edgetrain.compiler.rules.network import Network
from edgetrain.compiler.rules.registry import Option, register
from edgetrain.compiler.rules.step import step_counter

SIGMA = Option("sigma", 0.1, 1e-4, 100.0, "the deviation of the noise")
PAIRS = Option("pairs", 1, 1, 64, "how often noise is added and taken away, a layer and step")


@register("likelihood-ratio", options=(SIGMA, PAIRS), precisions=("fp32", "quantised"))
def likelihood_ratio(infer: Network, how: Learning) -> Graph:
    """Forward passes with noise on a layer's sums, up and down, instead of a backward pass."""
    return descend(infer, how, _estimate)


def _estimate(sample: Sample) -> Estimate:
    gradients: dict[Value, Value] = {}
    value = sample.x
    for number, layer in enumerate(sample.layers):
        linear = sample.run(layer.linear, {layer.input: value})
        sums = linear[layer.sums]
        if layer.states:
            above = [node for each in sample.layers[number + 1 :] for node in each.nodes]
            rise = _rise(sample, number, layer, sums, above)
            gradients |= sample.gradients(linear, {layer.sums: rise})
        value = sample.run(layer.activation, {layer.sums: sums})[layer.output]
    return Estimate(sample.loss(value)[0], gradients)


def _rise(sample: Sample, number: int, layer: Layer, sums: Value, above: Iterable[Node]) -> Value:
    """How the loss rises with `sums`, those of `layer`: what stands in for its gradient by them."""
    b, how = sample.b, sample.how
    sigma, pairs = how.option("sigma"), int(how.option("pairs"))
    following = (*layer.activation, *above)

    def noise(pair: int, scale: float) -> Value:
        return b.apply(
            "random",
            step_counter(b),
            *sample.numbers,
            shape=sums.type.shape,
            distribution="normal",
            scale=scale,
            seed=how.seed,
            stream=RULE_STREAM + number * pairs + pair,
        )

    def loss(by: Value) -> Value:
        run = sample.run(following, {layer.sums: sample.moved(sums, by)})
        return sample.loss(run[sample.infer.outputs[0]])[0]

    rise: Value | None = None
    for pair in range(pairs):
        up, down = loss(noise(pair, sigma)), loss(noise(pair, -sigma))
        difference = b.apply("subtract", up, down)
        slope = b.apply("scale", difference, factor=1 / (2 * sigma * pairs))
        part = b.apply("scale_by", noise(pair, 1.0), slope)
        rise = part if rise is None else b.apply("add", rise, part)
    assert rise is not None
    return sample.seed(sums, rise)
