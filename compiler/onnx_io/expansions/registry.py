"""The table of expansions: each op as plain ONNX operators.

They are written apart from the ops' meanings, so that a graph in the file can judge them.
"""

from collections.abc import Callable
from typing import TypeAlias

from edgetrain.compiler.graph import Node
from edgetrain.compiler.onnx_io.emitter import Emitter, element_type
from edgetrain.compiler.types import FLOAT32, Float, Int

Expansion: TypeAlias = Callable[..., str | tuple[str, ...]]
"""(emitter, node, name of each operand …) → the names of its results.

An op of a learning network is also given operands that have the samples of a batch as first axis,
and then gives such results: it works on the last axes.
"""

EXPANSIONS: dict[str, Expansion] = {}
INEXPRESSIBLE: dict[str, str] = {}
"""Op → why standard operators cannot say it.  A graph with such an op has no ONNX file."""


def expands(op: str) -> Callable[[Expansion], Expansion]:
    """Enter the decorated function into the table as the expansion of `op`."""

    def enter(expansion: Expansion) -> Expansion:
        EXPANSIONS[op] = expansion
        return expansion

    return enter


def column(e: Emitter, x: str) -> str:
    """(…, N) as (…, N, 1)."""
    return e.node("Unsqueeze", x, e.integers(-1))


def as_float(e: Emitter, node: Node, operand: int, name: str) -> str:
    """The operand in FLOAT32, if it is one of integers beside floats."""
    kinds = [value.type.scalar for value in node.inputs]
    if isinstance(kinds[operand], Int) and any(isinstance(kind, Float) for kind in kinds):
        return e.node("Cast", name, to=element_type(FLOAT32))
    return name


def total(e: Emitter, x: str) -> str:
    """The sum over the last axis."""
    return e.node("ReduceSum", x, e.integers(-1), keepdims=0)


def spread(e: Emitter, node: Node, operand: int, name: str) -> str:
    """The operand, a scalar, so that it meets vectors: for a batch it is one number a sample."""
    return column(e, name) if node.inputs[operand].type.shape else name


def at_least(e: Emitter, x: str, least: str) -> str:
    """The integers `x`, or `least` where that is greater."""
    # onnxruntime's Max, Min and Clip of INT64 err beyond 32 bits (1.31); its comparisons do not.
    return e.node("Where", e.node("Less", x, least), least, x)


def at_most(e: Emitter, x: str, most: str) -> str:
    """The integers `x`, or `most` where that is less."""
    return e.node("Where", e.node("Less", most, x), most, x)


def is_label(e: Emitter, node: Node, position: int, label: str, classes: int) -> str:
    """Which class is the labelled one, operand `position`; a single output stands for class 1."""
    indices = range(classes) if classes > 1 else (1,)
    return e.node("Equal", e.integers(*indices), spread(e, node, position, label))
