"""What all rules by back-propagation share: forward, loss and backward; the update is theirs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from edgetrain.compiler.autodiff import differentiate
from edgetrain.compiler.batch import mean, over_batch
from edgetrain.compiler.graph import Graph, GraphBuilder, Value
from edgetrain.compiler.rules.registry import Learning
from edgetrain.compiler.rules.step import step_counter

Update = Callable[[Value, Value], Value]
"""(parameter, its gradient) → the parameter's next value."""
Optimiser = Callable[[GraphBuilder], Update]
"""What the parameters share is built once, before their updates."""


def descend(infer: Graph, how: Learning, optimiser: Optimiser) -> Graph:
    """The graph (x, target) → loss of one step; every parameter is updated.

    Of a batch, x and target have the samples as first axis, and the loss is the mean of theirs.
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
    if how.batch > 1:
        seed = b.apply("scale", seed, factor=1 / how.batch)
    gradients = differentiate(b, forward, {known[outputs]: seed}, parameters)
    if how.batch > 1:
        b, lifted = over_batch(b.build(), how.batch, gradients.values())
        loss = mean(b, lifted[loss])
        gradients = {lifted[p]: lifted[g] for p, g in gradients.items()}
    update = optimiser(b)
    for parameter, gradient in gradients.items():
        b.update(parameter, update(parameter, gradient))
    b.output("loss", loss)
    return b.build()


@dataclass(frozen=True, slots=True)
class Rate:
    """The learning rate, as the operands and attributes that an update takes."""

    operands: tuple[Value, ...]
    attributes: Mapping[str, float]


def learning_rate(b: GraphBuilder, how: Learning) -> Rate:
    """A number where it is constant, or else computed from the number of steps taken."""
    if how.schedule == "constant" and not how.warmup:
        return Rate((), {"rate": how.rate})
    now = b.apply(
        "learning_rate",
        step_counter(b),
        schedule=how.schedule,
        rate=how.rate,
        steps=how.schedule_steps,
        factor=how.schedule_factor,
        warmup=how.warmup,
    )
    return Rate((now,), {})


def zeros_like(b: GraphBuilder, parameter: Value, prefix: str) -> Value:
    """A state of the optimiser, of the shape of `parameter`, zero at first."""
    zeros = np.zeros(parameter.type.shape, np.float32)
    return b.state(f"{prefix}_{parameter.name}", zeros, parameter.type.scalar)
