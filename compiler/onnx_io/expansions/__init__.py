"""One file per family of ops, as in compiler/ops/."""

from edgetrain.compiler.onnx_io.expansions import (
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
    sparsity,
)
from edgetrain.compiler.onnx_io.expansions.registry import EXPANSIONS, INEXPRESSIBLE

__all__ = [
    "EXPANSIONS",
    "INEXPRESSIBLE",
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
    "sparsity",
]
