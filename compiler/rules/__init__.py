"""One learning rule a file: a function from a forward graph to a training graph."""

from edgetrain.compiler.rules import (
    adam,
    dfa,
    drtp,
    likelihood_ratio,
    momentum,
    sgd,
    target_projection,
    tinyprop,
    zeroth_order,
)
from edgetrain.compiler.rules.registry import RULES, Learning, Option, Rule, find_rule

__all__ = [
    "RULES",
    "Learning",
    "Option",
    "Rule",
    "adam",
    "dfa",
    "drtp",
    "find_rule",
    "likelihood_ratio",
    "momentum",
    "sgd",
    "target_projection",
    "tinyprop",
    "zeroth_order",
]
