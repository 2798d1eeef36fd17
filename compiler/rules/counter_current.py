"""Counter-current learning (Kao and Hariharan, NeurIPS 2024).

A second network leads back from the one-hot code of every class: c_{l−1} = σ(V_l c_l).  What a
layer makes of a sample, a, and what the second network makes there of class j, c_j, shall agree
where the sample is of that class: L_l = (256·λ/d_l)·mean_j (a_l·c_lj − 1[y = j])², for the d_l
outputs of the layer; the last layer has the loss of the outputs.  Each layer of either network
learns from the loss of what it makes alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edgetrain.compiler.autodiff import differentiate
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph, Node, Value
from edgetrain.compiler.ops.loss import LOSSES
from edgetrain.compiler.rules.descend import descend
from edgetrain.compiler.rules.initial import drawn
from edgetrain.compiler.rules.learner import RULE_STREAM, Estimate, Sample
from edgetrain.compiler.rules.learning import Learning
from edgetrain.compiler.rules.network import Network
from edgetrain.compiler.rules.registry import Option, register
from edgetrain.compiler.types import FLOAT32

FACTOR = 256.0
"""As in the authors' code, whatever the batch and the layer."""
OPTIONS = (Option("lambda", 0.5, 0.0, 1e3, "factor of the losses of hidden layers"),)
CLASSIFYING = tuple(name for name, loss in LOSSES.items() if loss.classifies)


def counter_current(sample: Sample) -> Estimate:
    """The gradients of each layer's own loss, of both networks."""
    b, layers = sample.b, sample.layers
    *hidden, last = range(len(layers))
    lowest = next(number for number, layer in enumerate(layers) if layer.states)
    codes = _codes(sample, [number for number in hidden if number >= lowest])
    gradients: dict[Value, Value] = {}
    losses: list[Value] = []
    a = sample.x
    for number, layer in enumerate(layers):
        run = sample.run(layer.nodes, {layer.input: a})
        a = run[layer.output]
        if number == last:
            loss, own = sample.loss(a)
            own = sample.seed(a, own)
        elif number in codes:
            code = codes[number]
            agreed = b.apply("matmul_t", a, code.rows)
            error = b.apply("plus_label", sample.target, agreed, factor=-1.0)
            weight = FACTOR * float(sample.how.option("lambda")) / code.rows.type.size
            loss = b.apply("scale", b.apply("square_sum", error), factor=weight)
            push = sample.seed(error, b.apply("scale", error, factor=2 * weight))
            own = b.apply("matmul", push, code.rows)
            seeds = {code.rows: b.apply("outer", push, a)}
            gradients |= differentiate(b, code.nodes, seeds, [code.weights])
        else:
            continue
        losses.append(loss)
        gradients |= sample.gradients(run, {layer.output: own})
    return Estimate(b.total(losses), gradients)


@dataclass(frozen=True)
class Codes:
    """What the second network makes of every class at a layer, in rows, by `nodes` of `weights`."""

    rows: Value
    nodes: tuple[Node, ...]
    weights: Value


def _codes(sample: Sample, hidden: Sequence[int]) -> dict[int, Codes]:
    """The second network, down to the first of the layers `hidden`."""
    b, found = sample.b, dict[int, Codes]()
    rows: Value | None = None
    for number in reversed(hidden):
        before, v = len(b.nodes), _weights(sample, number)
        # The one-hot code of a class picks a row.
        rows = v if rows is None else b.apply("matmul_rows", rows, v)
        for node in sample.layers[number].activation:
            if len(node.inputs) != 1:
                raise InputError(
                    f"counter-current learning through {node.op} is not defined",
                    remedy="give a network of linear layers and activations alone",
                )
            rows = b.apply(node.op, rows, **node.attributes)
        found[number] = Codes(rows, b.nodes[before:], v)
    return found


def _weights(sample: Sample, number: int) -> Value:
    """The state that leads from layer `number` + 1 to this one, as PyTorch draws a linear layer."""
    here, above = (sample.layers[n].sums.type.shape[0] for n in (number, number + 1))
    numbers = {"seed": sample.how.seed, "stream": RULE_STREAM + number}
    initial = drawn((above, here), "uniform", above**-0.5, **numbers)
    return sample.b.state(f"reverse_w{number + 1}", initial, FLOAT32)


@register("counter-current", options=OPTIONS, losses=CLASSIFYING)
def rule(network: Network, how: Learning) -> Graph:
    """Layers learn from those of a second network, which leads back from the classes (CCL)."""
    return descend(network, how, counter_current)
