"""One learning rule a file: a function from a forward graph to a training graph."""

from edgetrain.compiler.rules import adam, momentum, sgd
from edgetrain.compiler.rules.registry import RULES, Learning, Rule

__all__ = ["RULES", "Learning", "Rule", "adam", "momentum", "sgd"]
