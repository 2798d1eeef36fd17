"""What all rules by back-propagation share: forward, loss and backward; the update is theirs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgetrain.compiler.autodiff import differentiate
from edgetrain.compiler.batch import mean, over_batch
from edgetrain.compiler.graph import Graph, GraphBuilder, Value
from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.rules.loss_scale import cancel_overflow, in_type, scaled, unscaled
from edgetrain.compiler.rules.registry import Learning
from edgetrain.compiler.rules.step import step_counter
from edgetrain.compiler.types import FLOAT32

Update = Callable[[str, Value, Value], Value]
"""(name of the parameter, its value, its gradient) → the next value."""
Optimiser = Callable[[GraphBuilder], Update]
"""What the parameters share is built once, before their updates."""


def descend(infer: Graph, how: Learning, optimiser: Optimiser, *, any_float: bool = False) -> Graph:
    """The graph (x, target) → loss of one step; every parameter is updated.

    Of a batch, x and target have the samples as first axis, and the loss is the mean of theirs.
    The optimiser computes in FLOAT32; for parameters of another type its result is rounded to it.
    With `any_float` it computes in the parameters' own type, unless they are rounded at random.
    """
    b = GraphBuilder("train_step", finite_inputs=True)
    x = b.input(infer.inputs[0].name, infer.inputs[0].type)
    (outputs,) = infer.outputs
    # The loss is computed in FLOAT32, whatever the network is.
    target = b.input("target", how.loss_entry.target_type(replace(outputs.type, scalar=FLOAT32)))
    known = {infer.inputs[0]: x}
    for state in infer.states:
        known[state.current] = b.state(state.current.name, state.initial, state.current.type.scalar)
    parameters = [known[state.current] for state in infer.states]
    known = b.continue_with(infer, known)
    forward = b.nodes
    loss, seed = how.loss_entry.build(b, in_type(b, known[outputs], FLOAT32), target)
    if how.batch > 1:
        seed = b.apply("scale", seed, factor=1 / how.batch)
    seed = in_type(b, scaled(b, how, seed), outputs.type.scalar)
    gradients = differentiate(b, forward, {known[outputs]: seed}, parameters)
    if how.batch > 1:
        b, lifted = over_batch(b.build(), how.batch, gradients.values())
        loss = mean(b, lifted[loss])
        gradients = {lifted[p]: lifted[g] for p, g in gradients.items()}
    stochastic = how.rounding == "stochastic"
    kind = parameters[0].type.scalar if any_float and not stochastic else FLOAT32
    true = unscaled(b, how, gradients, kind)
    if how.scaling == "dynamic":
        cancel_overflow(b, gradients)
    update = optimiser(b)
    for stream, (parameter, gradient) in enumerate(true.items()):
        following = update(parameter.name, in_type(b, parameter, kind), gradient)
        if stochastic:
            numbers = {"seed": how.seed, "stream": stream}
            following = b.apply("round_stochastic", following, step_counter(b), **numbers)
        b.update(parameter, in_type(b, following, parameter.type.scalar))
    b.output("loss", loss)
    return b.build()


@dataclass(frozen=True, slots=True)
class Rate:
    """The learning rate, as the operands and attributes that an update takes."""

    operands: tuple[Value, ...]
    attributes: Mapping[str, float]


def learning_rate(b: GraphBuilder, how: Learning) -> Rate:
    """A number where it is constant, or else computed from the number of steps taken."""
    if how.constant_rate:
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


def zeros_like(b: GraphBuilder, parameter: Value, name: str) -> Value:
    """A state `name` of the optimiser, of the type of `parameter`, zero at first."""
    kind = parameter.type
    return b.state(name, np.zeros(kind.shape, storage_dtype(kind.scalar)), kind.scalar)
