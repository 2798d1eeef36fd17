"""Learning rates that depend on how many steps were taken, without floats."""

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter
from edgetrain.compiler.onnx_io.expansions.registry import expands
from edgetrain.compiler.onnx_io.expansions.whole import Whole
from edgetrain.compiler.ops.fixed_loss import RATIO_BITS, ratio
from edgetrain.compiler.ops.fixed_schedule import ONE, SHARE, SINE
from edgetrain.compiler.types import Int


def _part(x: Whole, whole: int) -> Whole:
    """How much of `whole` x is, at most 1."""
    m, shift = ratio(ONE / whole, RATIO_BITS)
    return (x * m >> shift).within(SHARE)


def _product(a: Whole, b: Whole | int) -> Whole:
    return (a * b + ONE // 2) >> 15


def _sine(u: Whole) -> Whole:
    first, second, third = (round(c * ONE) for c in SINE)
    square = _product(u, u)
    inner = (square * third >> 15) + second
    return _product(u, (square * inner >> 15) + first).within(SHARE)


@expands("rate_share")
def rate_share(e: Emitter, node: Node, step: str) -> str:
    how, taken = node.attributes, Whole(e, step)
    steps, factor, warmup = how["steps"], how["factor"], how["warmup"]
    since = (taken - warmup).at_least(0)
    share = taken.of(ONE)
    if how["schedule"] == "step":
        kind = node.inputs[0].type.scalar
        assert isinstance(kind, Int)
        share = _powers(since // steps, factor, kind.hi // steps)
    elif how["schedule"] in ("linear", "cosine"):
        share = _part(steps - since.at_most(steps), steps)
        if how["schedule"] == "cosine":
            sine = _sine(share)
            share = _product(sine, sine)
        least = round(factor * ONE)
        share = _product(share, ONE - least) + least
    if warmup:
        share = _product(share, _part((taken + 1).at_most(warmup), warmup))
    return share.name


def _powers(exponent: Whole, factor: float, most: int) -> Whole:
    """factor^exponent, bit by bit of an exponent up to `most`."""
    share = exponent.of(ONE)
    for i in range(most.bit_length()):
        digit = (exponent >> i) - (exponent >> i + 1 << 1)
        power = _product(share, round(factor ** (2**i) * ONE))
        share = share + digit * (power - share)
    return share
