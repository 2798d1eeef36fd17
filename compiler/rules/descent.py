"""What all rules by back-propagation share: forward, loss and backward; the update is theirs."""

from collections.abc import Callable

import numpy as np

from edgetrain.compiler.autodiff import differentiate
from edgetrain.compiler.graph import Graph, GraphBuilder, Value
from edgetrain.compiler.rules.registry import Learning

Update = Callable[[GraphBuilder, Value, Value], Value]
"""(builder, parameter, its gradient) → the parameter's next value."""


def descend(infer: Graph, how: Learning, update: Update) -> Graph:
    """The graph (x, target) → loss of one step on one sample; every parameter is updated."""
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
        b.update(parameter, update(b, parameter, gradient))
    b.output("loss", loss)
    return b.build()


def zeros_like(b: GraphBuilder, parameter: Value, prefix: str) -> Value:
    """A state of the optimiser, of the shape of `parameter`, zero at first."""
    zeros = np.zeros(parameter.type.shape, np.float32)
    return b.state(f"{prefix}_{parameter.name}", zeros, parameter.type.scalar)
