"""One file per family of ops: the meaning of each, its gradient, and examples to try it on."""

from edgetrain.compiler.ops import (
    activation,
    arithmetic,
    dense,
    fixed_point,
    goodness,
    label,
    loss,
    loss_scale,
    optimiser,
    precision,
    projection,
    quantisation,
    random,
    schedule,
    selection,
    softmax,
)
from edgetrain.compiler.ops.registry import OPS, Example, Op

__all__ = [
    "OPS",
    "Example",
    "Op",
    "activation",
    "arithmetic",
    "dense",
    "fixed_point",
    "goodness",
    "label",
    "loss",
    "loss_scale",
    "optimiser",
    "precision",
    "projection",
    "quantisation",
    "random",
    "schedule",
    "selection",
    "softmax",
]
