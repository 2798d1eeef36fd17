"""Scales the gradients of a network in FLOAT16, and cancels a step in which one has overflowed."""

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from edgetrain.compiler.graph import GraphBuilder, Node, Value
from edgetrain.compiler.ops.loss_scale import FIRST, STEPS
from edgetrain.compiler.rules.learning import Learning
from edgetrain.compiler.types import BOOL, FLOAT32, Int, Scalar

Key = TypeVar("Key")

SCALE, GOOD_STEPS = "loss_scale", "good_steps"
"""The states of a dynamic scale."""


def scaled(b: GraphBuilder, how: Learning, seed: Value) -> Value:
    """The gradient that goes backwards from here, in FLOAT32, times the loss scale."""
    if how.scaling == "dynamic":
        scale = b.find_state(SCALE) or b.state(SCALE, np.array(FIRST, np.float32), FLOAT32)
        return b.apply("scale_by", seed, scale)
    return seed if how.scaling == 1 else b.apply("scale", seed, factor=how.scaling)


def unscaled(
    b: GraphBuilder, how: Learning, gradients: Mapping[Key, Value], to: Scalar
) -> dict[Key, Value]:
    """Each parameter's gradient without the scale, as numbers of type `to`.

    Of x dᵀ it is d that loses the scale, before it meets x: a vector instead of a matrix.
    """
    reciprocal = _reciprocal(b, how)
    makers = _makers(b)
    made: dict[Value, Value] = {}

    def convert(value: Value) -> Value:
        if value not in made:
            if reciprocal is None:
                made[value] = in_type(b, value, to)
            else:
                made[value] = b.apply("unscale", value, reciprocal, to=to)
        return made[value]

    def unscale(gradient: Value) -> Value:
        maker = makers[gradient]
        if maker.op != "outer":
            return convert(gradient)
        x, d = maker.inputs
        return b.apply("outer", in_type(b, x, to), convert(d))

    return {parameter: unscale(gradient) for parameter, gradient in gradients.items()}


def _reciprocal(b: GraphBuilder, how: Learning) -> Value | None:
    """That of the scale; None where nothing is scaled."""
    scale = b.find_state(SCALE)
    if scale is not None:
        return b.apply("reciprocal", scale)
    return None if how.scaling == 1 else b.constant(np.array(1 / float(how.scaling), np.float32))


def _makers(b: GraphBuilder) -> dict[Value, Node]:
    return {value: node for node in b.nodes for value in node.outputs}


def in_type(b: GraphBuilder, value: Value, kind: Scalar) -> Value:
    """`value`, cast if it is of another float type than `kind`."""
    same = value.type.scalar == kind or isinstance(value.type.scalar, Int)
    return value if same else b.apply("cast", value, to=kind)


def cancel_overflow(b: GraphBuilder, gradients: Mapping[Any, Value]) -> None:
    """From here on, update states only if all elements of the scaled `gradients` are finite; the
    scale follows."""
    scale = b.find_state(SCALE)
    assert scale is not None
    ok = _all_finite(b, gradients)
    good = b.state(GOOD_STEPS, np.array(0, np.uint8), STEPS)
    b.update(scale, b.apply("next_loss_scale", scale, good, ok))
    b.update(good, b.apply("next_good_steps", good, ok))
    b.update_only_if(ok)


def _all_finite(b: GraphBuilder, gradients: Mapping[Any, Value]) -> Value:
    """Whether all elements are.  Of x dᵀ, which is nowhere stored, all are finite if and only if
    the product of the greatest |x| and the greatest |d| is: rounding keeps the order."""
    makers = _makers(b)
    products = [makers[g].inputs for g in gradients.values() if makers[g].op == "outer"]
    covered = {value for operands in products for value in operands}
    singles = [(g,) for g in gradients.values() if makers[g].op != "outer" and g not in covered]
    sizes: dict[Value, Value] = {}
    ok = b.constant(np.array(1, np.uint8), BOOL)
    for operands in (*products, *singles):
        for value in operands:
            if value not in sizes:
                sizes[value] = b.apply("greatest_size", value)
        ok = b.apply("still_finite", ok, *(sizes[value] for value in operands))
    return ok
