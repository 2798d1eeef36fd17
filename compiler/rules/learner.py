"""What all rules share: the step on one sample, its lift over a batch, the update of what learns.

A rule is an estimate of gradients on one sample, and an optimiser.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from edgetrain.compiler.autodiff import backward, differentiate
from edgetrain.compiler.batch import mean, over_batch
from edgetrain.compiler.graph import Graph, GraphBuilder, Node, State, Value
from edgetrain.compiler.learnable import Doubles
from edgetrain.compiler.rules.layers import Layer, layers_of
from edgetrain.compiler.rules.learning import Learning
from edgetrain.compiler.rules.loss_scale import cancel_overflow, in_type, scaled, unscaled
from edgetrain.compiler.rules.network import Network
from edgetrain.compiler.rules.optimiser import Optimiser
from edgetrain.compiler.rules.parameter import (
    Chance,
    Parameter,
    QuantisedParameter,
    as_operands,
    initial_latent,
    latent_type,
    times,
)
from edgetrain.compiler.rules.saved import Saved, save
from edgetrain.compiler.rules.scales import with_scales
from edgetrain.compiler.types import FLOAT32, Float, Int, Scalar, TensorType

RULE_STREAM = 2**16
"""The first stream of random numbers that is a rule's own; roundings count from 0."""
FURTHEST = Int(-(2**22), 2**22)
"""By how many integers of a quantised network noise can move a value."""
LATENT = "latent_"
"""Begins the name of the state that holds the latent numbers of a parameter."""


@dataclass(frozen=True)
class Run:
    """Nodes of a network, carried out in a step: its values by those of the network, and its nodes
    there."""

    values: Mapping[Value, Value]
    nodes: tuple[Node, ...]

    def __getitem__(self, value: Value) -> Value:
        return self.values[value]


class Sample:
    """The step on one sample, while it is being built with `b`: the network `infer` learns, as
    `how` says, from `x` and `target`, whose type is by default what the loss compares with the
    network's outputs."""

    def __init__(self, infer: Network, how: Learning, target: TensorType | None = None) -> None:
        self.infer, self.how = infer, how
        self.b = b = GraphBuilder("train_step", finite_inputs=True)
        self.x = b.input(infer.inputs[0].name, infer.inputs[0].type)
        (outputs,) = infer.outputs
        # The loss is computed in FLOAT32, whatever the network is.
        real = replace(outputs.type, scalar=FLOAT32)
        self.target = b.input("target", target or how.loss_entry.target_type(real))
        self._known = b.states_of(infer)
        self.parameters = tuple(self._parameter(state) for state in infer.states)
        if how.scales == "learned":
            self.parameters = with_scales(b, self.parameters)
        self._known |= b.constants_of(infer)
        self._scales: dict[Value, Doubles] = {}
        self._saved: dict[Value, Saved] = {}

    def _parameter(self, state: State) -> Parameter:
        learnable = self.infer.learnable.get(state.current)
        if learnable is None:
            return Parameter(state.current, state.current)
        if not self.how.scaled_gradients:
            learnable = replace(learnable, unit=np.ones(1))
        kind, fraction = latent_type(self.how.latents, learnable)
        latent = state.current
        if learnable.steps is not None and kind != latent.type.scalar:
            initial = initial_latent(state.initial, learnable, fraction)
            latent = self.b.state(f"{LATENT}{latent.name}", initial, kind)
        return QuantisedParameter(latent, state.current, learnable, fraction)

    @cached_property
    def numbers(self) -> tuple[Value, ...]:
        """The number of this sample in its batch, of which random numbers of its own are made; none
        where it is the only one."""
        if self.how.batch == 1:
            return ()
        return (self.b.constant(np.array(0), Int(0, self.how.batch - 1)),)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The network as a chain of linear layers.  Raises InputError where it is none."""
        return layers_of(self.infer)

    def run(self, nodes: Iterable[Node], known: Mapping[Value, Value]) -> Run:
        """Carry out `nodes` of the network on what is `known` of its values: of constants and
        parameters only those that shall be replaced."""
        values: Mapping[Value, Value] = {**self._known, **known}
        made: list[Node] = []
        for node in nodes:
            values = self.b.append([node], values)
            made.append(self.b.nodes[-1])
            if self.how.save_activations is not None:
                self._saved |= save(self.b, made[-1], self.how.save_activations)
        scales = self.infer.scales.items()
        self._scales |= {values[value]: scale for value, scale in scales if value in values}
        return Run(values, tuple(made))

    def forward(self) -> Run:
        """Carry out the whole network on `x`."""
        return self.run(self.infer.nodes, {self.infer.inputs[0]: self.x})

    def loss(self, outputs: Value) -> tuple[Value, Value]:
        """The loss of `outputs` of the network, and its gradient by them in real units."""
        return self.how.loss_entry.build(self.b, self.real(outputs), self.target)

    def real(self, value: Value) -> Value:
        """`value` of the network as FLOAT32 numbers in real units."""
        if isinstance(value.type.scalar, Float):
            return in_type(self.b, value, FLOAT32)
        vector, scale = as_operands(self.b, self._scales[value])
        return self.b.apply("dequantise", value, *vector, scale=scale)

    def seed(self, value: Value, gradient: Value) -> Value:
        """What goes backwards from `value` of the network, where `gradient` is that of this
        sample's loss by its real numbers: this sample's share of the mean, times the loss scale, in
        the units of `value`."""
        if self.how.batch > 1:
            gradient = self.b.apply("scale", gradient, factor=1 / self.how.batch)
        if isinstance(value.type.scalar, Float):
            return in_type(self.b, scaled(self.b, self.how, gradient), value.type.scalar)
        return times(self.b, gradient, self._scales[value])

    def moved(self, value: Value, by: Value) -> Value:
        """`value` of the network once its real numbers have moved `by` others: integers rounded to
        nearest, and held within their range."""
        if isinstance(value.type.scalar, Float):
            return self.b.apply("move", value, in_type(self.b, by, value.type.scalar))
        vector, factor = as_operands(self.b, 1 / self._scales[value])
        steps = self.b.apply("quantise", by, *vector, factor=factor, within=FURTHEST)
        return self.b.apply("move", value, steps)

    def projected(self, op: str, value: Value, layer: int, size: int, bound: float) -> Value:
        """`value` through the random matrix of a layer, of `size` rows and uniform from −bound to
        bound, by one of the two ops that know it: project, project_label."""
        numbers = {"seed": self.how.seed, "stream": RULE_STREAM + layer}
        return self.b.apply(op, value, size=size, bound=bound, **numbers)

    def distance(self, value: Value, target: Value) -> Value:
        """The real numbers of `value` minus `target`."""
        return self.b.apply("subtract", self.real(value), target)

    def backward(
        self, b: GraphBuilder, node: Node, d: Value, needed: tuple[bool, ...]
    ) -> Sequence[Value | None]:
        """The gradients by the operands of `node`, of that by its result."""
        return backward(b, node, d, needed)

    def gradients(
        self, run: Run, seeds: Mapping[Value, Value], also: Collection[Value] = ()
    ) -> dict[Value, Value]:
        """From `seeds`, backwards through the nodes of `run`, to what is deployed of parameters and
        to `also`, where the seeds depend on it; all by the network's values."""
        wrt = [*(parameter.deployed for parameter in self.parameters), *also]
        ends = {run[value]: seed for value, seed in seeds.items()}

        def remembered(value: Value) -> Value:
            saved = None if value in ends else self._saved.get(value)
            return value if saved is None else saved.restored(self.b)

        def through(
            b: GraphBuilder, node: Node, d: Value, needed: tuple[bool, ...]
        ) -> Sequence[Value | None]:
            inputs, outputs = (tuple(map(remembered, vs)) for vs in (node.inputs, node.outputs))
            return self.backward(b, replace(node, inputs=inputs, outputs=outputs), d, needed)

        found = differentiate(self.b, run.nodes, ends, [run[value] for value in wrt], through)
        return {value: found[run[value]] for value in wrt if run[value] in found}


@dataclass(frozen=True)
class Estimate:
    """The loss on one sample and what the optimiser takes for its gradients, which come from a
    `Sample.seed`: by a parameter's `deployed`, by a parameter's real numbers (`Parameter.number`),
    or by a state of the rule's own."""

    loss: Value
    gradients: Mapping[Value, Value] | Mapping[Parameter, Value]


@dataclass(frozen=True)
class Slopes:
    """The loss on one sample and, by `Sample.seed`, how steeply it rises along directions that all
    samples of a batch share: of the sums of `slopes` over the batch, `along` makes the gradients by
    parameters' real numbers."""

    loss: Value
    slopes: tuple[Value, ...]
    along: Callable[[GraphBuilder, Sequence[Value]], Mapping[Parameter, Value]]


def back_propagation(sample: Sample) -> Estimate:
    """The gradients of the loss."""
    run = sample.forward()
    (outputs,) = sample.infer.outputs
    loss, gradient = sample.loss(run[outputs])
    seeds = {outputs: sample.seed(run[outputs], gradient)}
    return Estimate(loss, sample.gradients(run, seeds))


def learn(
    infer: Network,
    how: Learning,
    estimate: Callable[[Sample], Estimate | Slopes],
    optimiser: Optimiser,
    *,
    any_float: bool = False,
    target: TensorType | None = None,
) -> Graph:
    """The graph (x, target) → loss of one step; all that has a gradient is updated.

    Of a batch, x and target have the samples as first axis, and the loss is the mean of theirs.
    The optimiser computes in FLOAT32; for parameters of another type its result is rounded to it.
    With `any_float` it computes in the parameters' own type, unless they are rounded at random.
    """
    sample = Sample(infer, how, target)
    b, loss, gradients = _of_batch(sample, estimate(sample))
    kind: Scalar = FLOAT32
    if any_float and how.rounding != "stochastic":
        kind = sample.parameters[0].float_type
    true = unscaled(b, how, gradients, kind)
    if how.scaling == "dynamic":
        cancel_overflow(b, gradients)
    update = optimiser(b)
    for stream, (parameter, gradient) in enumerate(true.items()):
        latent = parameter.latent
        chance = Chance(how.seed, stream) if how.by_chance(latent.type.scalar) else None
        following = update(latent.name, parameter.number(b, kind), gradient)
        following = b.update(latent, parameter.stored(b, following, chance))
        if parameter.deployed != latent:
            b.update(parameter.deployed, parameter.deploy(b, following))
    b.output("loss", loss)
    return b.build()


def _by_numbers(
    sample: Sample, key: Value | Parameter, gradient: Value
) -> Sequence[tuple[Parameter, Value]]:
    """Parameters, and the gradients by their real numbers; a rule's own state is one by itself."""
    if isinstance(key, Parameter):
        return [(key, gradient)]
    for parameter in sample.parameters:
        if key == parameter.deployed:
            return parameter.gradients(sample.b, gradient)
    return [(Parameter(key, key), gradient)]


def _of_batch(
    sample: Sample, found: Estimate | Slopes
) -> tuple[GraphBuilder, Value, Mapping[Parameter, Value]]:
    """The builder, the loss and the gradients by parameters' real numbers of all samples."""
    if isinstance(found, Slopes):
        b, loss, slopes = over_samples(sample, found.loss, found.slopes)
        return b, loss, found.along(b, slopes)
    each = (_by_numbers(sample, key, gradient) for key, gradient in found.gradients.items())
    pairs = [pair for several in each for pair in several]
    b, loss, sums = over_samples(sample, found.loss, [gradient for _, gradient in pairs])
    return b, loss, {key: total for (key, _), total in zip(pairs, sums, strict=True)}


def over_samples(
    sample: Sample, loss: Value, summed: Sequence[Value]
) -> tuple[GraphBuilder, Value, Sequence[Value]]:
    """A builder with the step on a batch, the mean of `loss`, and the sums of `summed`; states keep
    their names, so that they are the same values there."""
    b, size = sample.b, sample.how.batch
    if size == 1:
        return b, loss, summed
    b, lifted = over_batch(b.build(), size, summed, sample.numbers)
    return b, mean(b, lifted[loss]), [lifted[value] for value in summed]
