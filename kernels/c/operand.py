"""A buffer as the body of a generated function sees it."""

from dataclasses import dataclass

from edgetrain.compiler.layout import Layout


@dataclass(frozen=True)
class Operand:
    """The C name of its pointer, and how its elements lie."""

    pointer: str
    layout: Layout
