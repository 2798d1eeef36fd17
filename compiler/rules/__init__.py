"""One learning rule a file: a function from a forward graph to a training graph."""

from edgetrain.compiler.rules import (
    adam,
    counter_current,
    dfa,
    drtp,
    forward_forward,
    likelihood_ratio,
    momentum,
    noprop,
    sgd,
    target_projection,
    tinyprop,
    zeroth_order,
)
from edgetrain.compiler.rules.learning import Learning
from edgetrain.compiler.rules.registry import RULES, Option, Rule, find_rule

__all__ = [
    "RULES",
    "Learning",
    "Option",
    "Rule",
    "adam",
    "counter_current",
    "dfa",
    "drtp",
    "find_rule",
    "forward_forward",
    "likelihood_ratio",
    "momentum",
    "noprop",
    "sgd",
    "target_projection",
    "tinyprop",
    "zeroth_order",
]
