"""NoProp in discrete time (Li, Teh and Pascanu, "NoProp: Training Neural Networks without
Back-propagation or Forward-propagation", 2025).

The network is one block of T, which differ in their parameters alone.  A block is given the
features x and z, a noisy code of the class, and finds the code u without noise, as one-hot codes
that its softmax weighs.  Block t learns by itself, from z = √ᾱ_{t−1}·u + √(1 − ᾱ_{t−1})·ε, to
minimise ½·η·(SNR_t − SNR_{t−1})·‖û_t − u‖², where SNR = ᾱ/(1 − ᾱ).  To infer, blocks follow each
other, z_t = a_t·û_t + b_t·z_{t−1} + √c_t·ε, and the class is that of the code nearest to z_T.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import pi, sin, sqrt

import numpy as np

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph, GraphBuilder, Node, Value
from edgetrain.compiler.ops.softmax import softmax, softmax_gradient
from edgetrain.compiler.rules.descend import descend
from edgetrain.compiler.rules.learner import RULE_STREAM, Estimate, Sample
from edgetrain.compiler.rules.learning import Learning
from edgetrain.compiler.rules.network import Network
from edgetrain.compiler.rules.registry import OWN_LOSS, Option, register
from edgetrain.compiler.rules.step import step_counter
from edgetrain.compiler.types import TensorType

MOST_BLOCKS = 100
OPTIONS = (
    Option("blocks", 5, 1, MOST_BLOCKS, "copies of the network, each with its parameters"),
    Option("eta", 0.1, 0.0, 1e3, "factor of the loss"),
    Option("noise", 0.0, 0.0, 1.0, "factor of the random numbers of inference; 0: their mean"),
)


@dataclass(frozen=True)
class Schedule:
    """How much signal there is before block `t` of so many, from 1 on, and after it."""

    t: int
    blocks: int

    def signal(self, t: int) -> float:
        """ᾱ_t: half a wave from noise to signal, without its ends."""
        return sin(pi / 2 * (t + 1) / (self.blocks + 2)) ** 2

    @property
    def before(self) -> float:
        return self.signal(self.t - 1)

    @property
    def after(self) -> float:
        return self.signal(self.t)

    @property
    def gain(self) -> float:
        """SNR_t − SNR_{t−1}."""
        return self.after / (1 - self.after) - self.before / (1 - self.before)

    @property
    def step(self) -> tuple[float, float, float]:
        """a_t, b_t and √c_t."""
        kept = self.before / self.after
        rest = 1 - self.before
        a = sqrt(self.after) * (1 - kept) / rest
        b = sqrt(kept) * (1 - self.after) / rest
        return a, b, sqrt((1 - self.after) * (1 - kept) / rest)


@dataclass(frozen=True)
class Block:
    """Its place in the schedule, and its nodes; `z` is the noisy code that they read, and `logits`
    what they weigh codes by."""

    schedule: Schedule
    nodes: tuple[Node, ...]
    z: Value
    logits: Value


@dataclass(frozen=True)
class Chain:
    """All blocks: the graph (x) → z_T, whose greatest element is that of the nearest code."""

    network: Network
    blocks: tuple[Block, ...]


def chain(network: Network, how: Learning) -> Chain:
    """Copies of `network`, whose last inputs are z, with a state `w0_1` … for each `w0` … of it."""
    ((inputs,), (classes,)) = (v[0].type.shape for v in (network.inputs, network.outputs))
    if not 2 <= classes < inputs:
        raise InputError(
            f"the network has {inputs} inputs and {classes} outputs",
            remedy="give a block: from features and a number for each of at least two classes, "
            "to a number for each class",
        )
    blocks = int(how.option("blocks"))
    b = GraphBuilder(network.name, finite_inputs=network.finite_inputs)
    features = TensorType((inputs - classes,), network.inputs[0].type.scalar)
    x = b.input(network.inputs[0].name, features)
    known = b.constants_of(network)
    z, found = _noise(b, how, classes, 0, 1.0), []
    for schedule in (Schedule(t, blocks) for t in range(1, blocks + 1)):
        before = len(b.nodes)
        given = b.apply("splice", x, z, at=inputs - classes)
        states = b.states_of(network, ending=f"_{schedule.t}")
        made = b.append(network.nodes, {**known, **states, network.inputs[0]: given})
        logits = made[network.outputs[0]]
        found.append(Block(schedule, b.nodes[before:], z, logits))
        signal, rest, deviation = schedule.step
        z = b.apply("mix", softmax(b, logits), z, p=signal, q=rest)
        if how.option("noise"):
            z = b.apply("add", z, _noise(b, how, classes, schedule.t, deviation))
    b.output(network.output_names[0], z)
    return Chain(Network(**vars(b.build())), tuple(found))


def _noise(b: GraphBuilder, how: Learning, size: int, t: int, deviation: float) -> Value:
    """The random numbers of inference after block `t`, the same in every call; or their mean."""
    scale = float(how.option("noise")) * deviation
    if not scale:
        return b.constant(np.zeros(size, np.float32))
    numbers = {"seed": how.seed, "stream": RULE_STREAM + MOST_BLOCKS + 1 + t}
    shape = {"shape": (size,), "distribution": "normal", "scale": scale}
    return b.apply("random", b.constant(np.array(0)), **shape, **numbers)


def noprop(blocks: Sequence[Block], sample: Sample) -> Estimate:
    """The gradients of every block's own loss, for a noisy code of its own."""
    b, how = sample.b, sample.how
    losses: list[Value] = []
    gradients: dict[Value, Value] = {}
    for block in blocks:
        signal = block.schedule.before
        noise = b.apply(
            "random",
            step_counter(b),
            *sample.numbers,
            shape=block.z.type.shape,
            distribution="normal",
            scale=sqrt(1 - signal),
            seed=how.seed,
            stream=RULE_STREAM + block.schedule.t,
        )
        z = b.apply("plus_label", sample.target, noise, factor=sqrt(signal))
        run = sample.run(block.nodes, {sample.infer.inputs[0]: sample.x, block.z: z})
        logits = run[block.logits]
        found = softmax(b, logits)
        error = b.apply("plus_label", sample.target, found, factor=-1.0)
        weight = float(how.option("eta")) / 2 * block.schedule.gain
        losses.append(b.apply("scale", b.apply("square_sum", error), factor=weight))
        own = softmax_gradient(b, found, b.apply("scale", error, factor=2 * weight))
        gradients |= sample.gradients(run, {block.logits: sample.seed(logits, own)})
    return Estimate(b.total(losses), gradients)


def infer(network: Network, how: Learning) -> Graph:
    """The graph (x) → z_T."""
    return chain(network, how).network


@register("noprop", options=OPTIONS, infer=infer, losses=OWN_LOSS)
def rule(network: Network, how: Learning) -> Graph:
    """Copies of the network follow each other; each learns by itself to clean a noisy label."""
    blocks = chain(network, how)
    return descend(blocks.network, how, partial(noprop, blocks.blocks))
