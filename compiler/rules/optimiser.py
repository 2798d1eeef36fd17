"""What optimisers are made of, and plain gradient descent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from edgetrain.compiler.graph import GraphBuilder, Value
from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.rules.learning import Learning
from edgetrain.compiler.rules.step import step_counter

Update = Callable[[str, Value, Value], Value]
"""(name of the parameter, its value, its gradient) → the next value."""
Optimiser = Callable[[GraphBuilder], Update]
"""What the parameters share is built once, before their updates."""


@dataclass(frozen=True, slots=True)
class Rate:
    """The learning rate, as the operands and attributes that an update takes."""

    operands: tuple[Value, ...]
    attributes: Mapping[str, float]


def learning_rate(b: GraphBuilder, how: Learning) -> Rate:
    """A number where it is constant, or else computed from the number of steps taken."""
    if how.constant_rate:
        return Rate((), {"rate": how.rate})
    now = b.apply("learning_rate", step_counter(b), rate=how.rate, **how.course)
    return Rate((now,), {})


def zeros_like(b: GraphBuilder, parameter: Value, name: str) -> Value:
    """A state `name` of the optimiser, of the type of `parameter`, zero at first."""
    kind = parameter.type
    return b.state(name, np.zeros(kind.shape, storage_dtype(kind.scalar)), kind.scalar)


def descent(how: Learning) -> Optimiser:
    """w ← w − rate·(g + decay·w)."""

    def optimiser(b: GraphBuilder) -> Update:
        rate = learning_rate(b, how)

        def update(_: str, w: Value, gradient: Value) -> Value:
            return b.apply("sgd", w, gradient, *rate.operands, decay=how.decay, **rate.attributes)

        return update

    return optimiser


LEAST_NORMAL = 2.0**-14
"""Below, FLOAT16 has fewer than eleven significant bits."""


def descends_in_half(how: Learning) -> bool:
    """Whether `descent` may compute in FLOAT16: unless a factor would lose bits in it."""
    factors = [value for value in (how.rate, how.decay) if value]
    return how.constant_rate and all(LEAST_NORMAL <= value < 2**15 for value in factors)
