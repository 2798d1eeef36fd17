"""Learning rates that depend on how many steps were taken, without floats."""

from collections.abc import Callable
from math import log

from numpy.random import Generator

from edgetrain.compiler.expr import (
    Expr,
    add,
    bit_and,
    clamp,
    eq,
    lift,
    lt,
    maximum,
    minimum,
    mul,
    select,
    shift_right,
    sub,
)
from edgetrain.compiler.nest import Nest, elementwise
from edgetrain.compiler.ops.fixed_loss import RATIO_BITS, ratio
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.ops.schedule import SCHEDULES, whole_periods
from edgetrain.compiler.types import Int, TensorType

SHARE_BITS = 15
ONE = 1 << SHARE_BITS
"""What a share of 1 is."""
SHARE = Int(0, ONE)
SINE = (1.5706268, -0.6432292, 0.0727102)
"""sin(πu/2) is u·(this polynomial of u²) from 0 to 1 within 1.1e-4 (Hastings, 1955)."""


def _part(x: Expr, factor: float) -> Expr:
    """x·factor, of an x that is not negative; at most 1."""
    m, shift = ratio(factor, RATIO_BITS)
    return clamp(shift_right(mul(x, m), shift), SHARE)


def _product(a: Expr, b: Expr) -> Expr:
    """a·b, of shares; rounded."""
    return shift_right(add(mul(a, b), ONE // 2), SHARE_BITS)


def _between(share: Expr, factor: float) -> Expr:
    """`factor` at 0, 1 at 1, and a line between them."""
    least = round(factor * ONE)
    return add(_product(share, lift(ONE - least)), least)


def _constant(_step: Expr, _steps: int, _factor: float) -> Expr:
    return lift(ONE)


def _step(step: Expr, steps: int, factor: float) -> Expr:
    """factor^⌊step / steps⌋, as the product of factor^(2^i) over the bits i of the exponent."""
    if factor == 0:
        return select(lt(step, steps), lift(ONE), lift(0))
    # Beyond these bits every power of a factor below one is zero.
    bits = (int((SHARE_BITS + 1) * log(2) / -log(factor)) + 1).bit_length() if factor < 1 else 0
    exponent = minimum(whole_periods(step, steps), 2**bits - 1)
    result: Expr = lift(ONE)
    for i in range(bits):
        is_set = eq(bit_and(shift_right(exponent, i), 1), 1)
        power = _product(result, lift(round(factor ** (2**i) * ONE)))
        result = select(is_set, power, result)
    return result


def _left(step: Expr, steps: int) -> Expr:
    """(steps − step)/steps, not below 0."""
    return _part(maximum(sub(steps, minimum(step, steps)), 0), ONE / steps)


def _linear(step: Expr, steps: int, factor: float) -> Expr:
    return _between(_left(step, steps), factor)


def _cosine(step: Expr, steps: int, factor: float) -> Expr:
    """Half a wave: ½(1 + cos(π·step/steps)) is the square of a sine."""
    u = _left(step, steps)
    square = _product(u, u)
    first, second, third = (round(c * ONE) for c in SINE)
    inner = add(shift_right(mul(square, third), SHARE_BITS), second)
    sine = clamp(_product(u, add(shift_right(mul(square, inner), SHARE_BITS), first)), SHARE)
    return _between(_product(sine, sine), factor)


SHARES: dict[str, Callable[[Expr, int, float], Expr]] = {
    "constant": _constant,
    "step": _step,
    "linear": _linear,
    "cosine": _cosine,
}
"""As `SCHEDULES`, in units of 2^-15."""


def _example(rng: Generator) -> Example:
    attributes = {
        "schedule": str(rng.choice(list(SCHEDULES))),
        "steps": int(rng.integers(1, 1000)),
        "factor": float(rng.choice([0.0, 0.1, 0.5, 1.0])),
        "warmup": int(rng.integers(0, 5)),
    }
    return Example((TensorType((), Int(0, 2000)),), attributes)


@register("rate_share", _example)
def rate_share(step: TensorType, *, schedule: str, steps: int, factor: float, warmup: int) -> Nest:
    """y = the share of the learning rate after `step` steps, in units of 2^-15.

    It rises to what the schedule begins with during the first `warmup` steps.
    """

    def share(step: Expr) -> Expr:
        held = SHARES[schedule](maximum(sub(step, warmup), 0), steps, factor)
        if not warmup:
            return held
        return _product(held, _part(minimum(add(step, 1), warmup), ONE / warmup))

    return elementwise((), share, step=step)
