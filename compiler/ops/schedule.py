"""Learning rates that depend on how many steps were taken."""

from collections.abc import Callable
from math import log

from numpy.random import Generator

from edgetrain.compiler.expr import (
    Expr,
    add,
    assume,
    bit_and,
    div,
    eq,
    lift,
    lt,
    maximum,
    minimum,
    mul,
    select,
    shift_right,
    sub,
    to_float,
)
from edgetrain.compiler.nest import Nest, Out, Read
from edgetrain.compiler.ops.functions import quarter_sine
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import FLOAT32, Int, TensorType

MOST_STEPS = 2**24
"""Up to here every number of steps is a FLOAT32."""


def _constant(_step: Expr, _steps: int, _factor: float) -> Expr:
    """1."""
    return lift(1.0, FLOAT32)


def whole_periods(step: Expr, steps: int) -> Expr:
    """⌊step / steps⌋, by a multiplication and a shift that are exact for all of 31 bits."""
    shift = 31 + (steps - 1).bit_length()
    return shift_right(mul(step, 2**shift // steps + 1), shift)


def _step(step: Expr, steps: int, factor: float) -> Expr:
    """factor^⌊step / steps⌋, as the product of factor^(2^i) over the bits i of the exponent."""
    if factor == 0:
        return select(lt(step, steps), lift(1.0, FLOAT32), 0.0)
    # Beyond these bits every power of a factor below one is zero in FLOAT32.
    bits = (int(105 / -log(factor)) + 1).bit_length() if factor < 1 else 0
    exponent = minimum(whole_periods(step, steps), 2**bits - 1)
    result: Expr = lift(1.0, FLOAT32)
    for i in range(bits):
        is_set = eq(bit_and(shift_right(exponent, i), 1), 1)
        result = mul(result, select(is_set, lift(factor ** (2**i), FLOAT32), 1.0))
    return result


def _left(step: Expr, steps: int) -> Expr:
    """(steps − step)/steps, not below 0."""
    held = assume(sub(steps, minimum(step, steps)), Int(0, steps))
    return div(to_float(held), float(steps))


def _linear(step: Expr, steps: int, factor: float) -> Expr:
    """In a straight line from 1 to `factor`."""
    return add(mul(_left(step, steps), 1 - factor), factor)


def _cosine(step: Expr, steps: int, factor: float) -> Expr:
    """Along half a wave from 1 to `factor`: ½(1 + cos(π·step/steps)) is the square of a sine."""
    sine = quarter_sine(_left(step, steps))
    return add(mul(mul(sine, sine), 1 - factor), factor)


SCHEDULES: dict[str, Callable[[Expr, int, float], Expr]] = {
    "constant": _constant,
    "step": _step,
    "linear": _linear,
    "cosine": _cosine,
}
"""Name → the share of the rate at a step, for a schedule of `steps` and a final `factor`."""


@register("count", lambda rng: Example((TensorType((), Int(0, int(rng.integers(1, 9)))),)))
def count(step: TensorType) -> Nest:
    """y = step + 1, or the greatest number of step's type if that is less; step scalar."""
    assert isinstance(step.scalar, Int)
    read = Read("step", (), step)
    following = minimum(add(read.value, 1), step.scalar.hi)
    return Nest((), (read,), (Out("y", (), step.scalar, following),))


def _example(rng: Generator) -> Example:
    attributes = {
        "schedule": str(rng.choice(list(SCHEDULES))),
        "rate": 0.1,
        "steps": int(rng.integers(1, 1000)),
        "factor": float(rng.choice([0.0, 0.1, 0.5, 1.0])),
        "warmup": int(rng.integers(0, 5)),
    }
    return Example((TensorType((), Int(0, 2000)),), attributes)


@register("learning_rate", _example)
def learning_rate(
    step: TensorType, *, schedule: str, rate: float, steps: int, factor: float, warmup: int
) -> Nest:
    """y = the rate of the schedule after `step` steps, rising to it during the first `warmup`."""
    read = Read("step", (), step)
    taken: Expr = read.value
    body = SCHEDULES[schedule](maximum(sub(taken, warmup), 0), steps, factor)
    if warmup:
        risen = div(to_float(minimum(add(taken, 1), warmup)), float(warmup))
        body = mul(body, risen)
    body = mul(body, rate)
    return Nest((), (read,), (Out("y", (), body.type, body),))
