"""Between integers and the floats that they stand for."""

from typing import Any

import numpy as np

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import DOUBLE, Emitter, element_type
from edgetrain.compiler.onnx_io.expansions.registry import INEXPRESSIBLE, expands
from edgetrain.compiler.types import FLOAT32, Int

for _op in ("step_fixed", "round_moved"):
    INEXPRESSIBLE[_op] = "a pass makes it of others, after the file is written"
INEXPRESSIBLE["quantise_stochastic"] = "no standard operator multiplies modulo 2^32"


def _double(e: Emitter, x: str, factor: float) -> str:
    """The integers `x` times `factor`, in DOUBLE, where both are exact."""
    wide = e.node("Cast", x, to=DOUBLE)
    return wide if factor == 1 else e.node("Mul", wide, e.constant(np.array(factor, np.float64)))


def _scaled(e: Emitter, x: str, factor: float, units: tuple[str, ...]) -> str:
    factors = [e.number(factor, FLOAT32)] if factor != 1 else []
    for each in (*factors, *units):
        x = e.node("Mul", x, each)
    return x


def _power(e: Emitter, x: str, kind: np.dtype[Any], within: Int) -> str:
    """The code of the power of two nearest to the floats `x` of type `kind`."""
    size = e.node("Abs", x)
    limits = [1.5 * 2**power for power in range(max(-within.lo, within.hi) - 1)]
    reached = [e.node("GreaterOrEqual", size, e.constant(np.array(at, kind))) for at in limits]
    reached.append(e.node("Less", e.constant(np.array(0.5, kind)), size))
    code = e.node("Sum", *(e.node("Cast", flag, to=DOUBLE) for flag in reached))
    signed = e.node("Mul", code, e.node("Sign", e.node("Cast", x, to=DOUBLE)))
    ends = (e.constant(np.array(float(end))) for end in (within.lo, within.hi))
    return e.node("Cast", e.node("Clip", signed, *ends), to=element_type(within))


@expands("dequantise")
def dequantise(e: Emitter, node: Node, x: str, *units: str) -> str:
    kind, scale = node.inputs[0].type.scalar, node.attributes["scale"]
    assert isinstance(kind, Int)
    lost = max(0, max(-kind.lo, kind.hi).bit_length() - 24)
    if lost:
        x = e.node("Floor", _double(e, x, 2.0**-lost))
    return _scaled(e, e.node("Cast", x, to=element_type(FLOAT32)), scale * 2.0**lost, units)


@expands("scale_channels")
def scale_channels(e: Emitter, node: Node, x: str, u: str) -> str:
    return e.node("Mul", x, u)


@expands("quantise")
def quantise(e: Emitter, node: Node, x: str, *units: str) -> str:
    if node.inputs[0].type.scalar != FLOAT32:
        x = e.node("Cast", x, to=element_type(FLOAT32))
    scaled = _scaled(e, x, node.attributes["factor"], units)
    within = node.attributes["within"]
    if node.attributes.get("powers", False):
        return _power(e, scaled, np.dtype(np.float32), within)
    limits = (e.number(float(bound), FLOAT32) for bound in (within.lo, within.hi))
    nearest = e.node("Round", e.node("Clip", scaled, *limits))
    number = e.node("Where", e.node("IsNaN", nearest), e.number(0.0, FLOAT32), nearest)
    return e.node("Cast", number, to=element_type(node.outputs[0].type.scalar))


@expands("round_fixed")
def round_fixed(e: Emitter, node: Node, x: str) -> str:
    within, fraction = node.attributes["within"], node.attributes["fraction"]
    limits = (e.constant(np.array(bound, np.float64)) for bound in (within.lo, within.hi))
    steps = _double(e, x, 2.0**-fraction)
    if node.attributes.get("powers", False):
        return _power(e, steps, np.dtype(np.float64), within)
    nearest = e.node("Round", steps)
    return e.node(
        "Cast", e.node("Clip", nearest, *limits), to=element_type(node.outputs[0].type.scalar)
    )


@expands("sign")
def sign(e: Emitter, node: Node, x: str) -> str:
    scalar, result = node.inputs[0].type.scalar, node.outputs[0].type.scalar
    least = e.node("GreaterOrEqual", x, e.number(0, scalar))
    return e.node("Where", least, e.number(1, result), e.number(-1, result))


@expands("clip")
def clip(e: Emitter, node: Node, x: str) -> str:
    limits = (e.number(node.attributes[name], node.inputs[0].type.scalar) for name in ("lo", "hi"))
    return e.node("Clip", x, *limits)
