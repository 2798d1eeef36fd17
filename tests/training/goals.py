"""Which rule learns by which loss."""

from edgetrain.compiler.rules import RULES

GOALS = [(name, loss) for name, rule in sorted(RULES.items()) for loss in sorted(rule.losses)]
"""Every rule with every loss that it can minimise."""
