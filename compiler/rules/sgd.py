"""Stochastic gradient descent: back-propagation, then w ← w − rate·(∂L/∂w + decay·w)."""

from edgetrain.compiler.autodiff import differentiate
from edgetrain.compiler.graph import Graph, GraphBuilder
from edgetrain.compiler.rules.registry import Learning, register


@register("sgd")
def sgd(infer: Graph, how: Learning) -> Graph:
    """Back-propagation with plain gradient descent and optional weight decay.

    The graph (x, target) → loss: one sample a step; every parameter of `infer` is replaced.
    """
    b = GraphBuilder("train_step", finite_inputs=True)
    x = b.input(infer.inputs[0].name, infer.inputs[0].type)
    (outputs,) = infer.outputs
    target = b.input("target", how.loss_entry.target_type(outputs.type))
    known = {infer.inputs[0]: x}
    for state in infer.states:
        known[state.current] = b.state(state.current.name, state.initial, state.current.type.scalar)
    parameters = [known[state.current] for state in infer.states]
    known = b.continue_with(infer, known)
    forward = b.nodes
    loss, seed = how.loss_entry.build(b, known[outputs], target)
    gradients = differentiate(b, forward, {known[outputs]: seed}, parameters)
    for parameter, gradient in gradients.items():
        update = b.apply("sgd", parameter, gradient, rate=how.rate, decay=how.decay)
        b.update(parameter, update)
    b.output("loss", loss)
    return b.build()
