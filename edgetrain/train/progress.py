"""How a training says how far it is."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with what is being done, the steps done and the steps in all."""


def silent(stage: str, done: int, total: int) -> None:
    """Says nothing."""
