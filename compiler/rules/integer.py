"""Learning without floats: latent integers v that move by v ← v + g/2^shift."""

from collections.abc import Callable
from dataclasses import dataclass
from math import floor, log2
from typing import Any

import numpy as np

from edgetrain.compiler.graph import Graph, GraphBuilder, Value
from edgetrain.compiler.ops.fixed_schedule import SHARE_BITS
from edgetrain.compiler.rules.integer_sample import MOST_SHIFT, IntegerSample, largest, rescaled
from edgetrain.compiler.rules.learner import Estimate, Sample, Slopes, over_samples
from edgetrain.compiler.rules.learning import Learning
from edgetrain.compiler.rules.network import Network
from edgetrain.compiler.rules.parameter import Parameter, QuantisedParameter, product_of
from edgetrain.compiler.rules.step import step_counter
from edgetrain.compiler.types import Int

MOVE_BITS = 30
"""Of an input times a gradient, summed over a batch, before the rate divides it."""
MOST_FADE = 10


@dataclass(frozen=True)
class Move:
    """By g/2^shift the latent integers of `parameter` move."""

    parameter: Parameter
    g: Value
    shift: int


def learn_in_integers(
    infer: Network,
    how: Learning,
    estimate: Callable[[Sample], Estimate | Slopes],
    *,
    momentum: bool = False,
) -> Graph:
    """As `learn`, by plain descent, but without floats.

    With `momentum`, m ← m − m/2^fade + g and v ← v + m/2^shift, where 1 − 2^-fade is near that of
    `how`.
    """
    sample = IntegerSample(infer, how)
    found = estimate(sample)
    assert isinstance(found, Estimate)
    gradients: dict[Any, Value] = dict(found.gradients)
    fade = min(MOST_FADE, round(-log2(1 - how.momentum))) if momentum else 0
    share = _rate_share(sample.b, how)
    moves = [
        _move(sample, parameter, gradients[parameter.deployed], MOVE_BITS - fade, share)
        for parameter in sample.parameters
        if parameter.deployed in gradients
    ]
    b, loss, sums = over_samples(sample, found.loss, [move.g for move in moves])
    for stream, (move, g) in enumerate(zip(moves, sums, strict=True)):
        if momentum:
            g = _remembered(b, move.parameter.latent, g, fade)
        _update(b, how, Move(move.parameter, g, move.shift), stream)
    b.output("loss", loss)
    return b.build()


def _move(
    sample: IntegerSample, parameter: Parameter, gradient: Value, bits: int, share: Value | None
) -> Move:
    """What one sample adds to the move of `parameter`; summed over a batch it has so many bits.

    How far 1 of the gradient moves a latent number, by the rate, is a fixed-point number of each
    channel.
    """
    assert isinstance(parameter, QuantisedParameter)
    b, how, unit = sample.b, sample.how, parameter.learnable.unit
    # Of x dᵀ it is d that is scaled, before it meets x: a vector instead of a matrix.
    x, d = product_of(b, gradient) or (None, gradient)
    rate = how.rate / how.batch * sample.unit(gradient)
    by = rate * 2.0 ** (parameter.fraction or 0) / unit**2
    if share is not None:
        d, by = b.apply("scale_by", d, share), by / 2**SHARE_BITS
    most = max(1, 2**bits // (how.batch * (1 if x is None else largest(x.type))))
    # As far to the left as the bits allow, so that little is lost before the sum.
    greatest = largest(d.type) * max(by.max(), 2.0**-99)
    shift = min(max(1, floor(log2(most / greatest))), MOST_SHIFT)
    q = rescaled(b, d, -by * 2.0**shift, most)
    return Move(parameter, q if x is None else b.apply("outer", x, q), shift)


def _rate_share(b: GraphBuilder, how: Learning) -> Value | None:
    """What of the rate is left at this step; None where it is constant."""
    if how.constant_rate:
        return None
    return b.apply("rate_share", step_counter(b), **how.course)


def _remembered(b: GraphBuilder, latent: Value, g: Value, fade: int) -> Value:
    """The next value of the sum of all g, of which 2^-fade fades away each step."""
    most = 2**MOVE_BITS
    kept = b.state(f"m_{latent.name}", np.zeros(g.type.shape, np.int32), Int(-most, most))
    return b.update(kept, b.apply("momentum_fixed", kept, g, fade=fade))


def _update(b: GraphBuilder, how: Learning, move: Move, stream: int) -> None:
    """The next value of what is latent, and of what is deployed of it."""
    parameter, latent = move.parameter, move.parameter.latent
    if how.by_chance(latent.type.scalar):
        chance = {"shift": move.shift, "seed": how.seed, "stream": stream}
        following = b.apply("move_fixed_stochastic", latent, move.g, step_counter(b), **chance)
    else:
        following = b.apply("move_fixed", latent, move.g, shift=move.shift)
    following = b.update(latent, following)
    if parameter.deployed != latent:
        b.update(parameter.deployed, parameter.deploy(b, following))
