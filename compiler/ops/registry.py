"""The op table: what an op means, and the shapes on which every executor is tried."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from numpy.random import Generator

from edgetrain.compiler.nest import Nest
from edgetrain.compiler.types import TensorType

if TYPE_CHECKING:
    from edgetrain.compiler.graph import GraphBuilder, Node, Value

Attributes: TypeAlias = Mapping[str, Any]
Meaning: TypeAlias = Callable[..., Nest]
Gradient: TypeAlias = (
    "Callable[[GraphBuilder, Node, Value, tuple[bool, ...]], tuple[Value | None, ...]]"
)
"""(builder, node, gradient of its result, which operands need one) → gradients of the operands."""


@dataclass(frozen=True, slots=True)
class Example:
    """Operand types and attributes for which the op is defined; `sorted_operands` ascend along
    their last axis."""

    operands: tuple[TensorType, ...]
    attributes: Attributes = field(default_factory=dict)
    sorted_operands: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Op:
    """`meaning(*operand_types, **attributes)` is the nest; `example(rng)` draws a use of the op.

    `gradient` is None where the op has none: it ends a network, or only updates.
    """

    name: str
    meaning: Meaning
    example: Callable[[Generator], Example]
    gradient: "Gradient | None" = None

    @property
    def summary(self) -> str:
        return (self.meaning.__doc__ or "").strip().splitlines()[0]


OPS: dict[str, Op] = {}


def register(
    name: str, example: Callable[[Generator], Example], gradient: "Gradient | None" = None
) -> Callable[[Meaning], Meaning]:
    """Enter the decorated function into the table as the meaning of `name`."""

    def enter(meaning: Meaning) -> Meaning:
        if name in OPS:
            raise ValueError(f"op {name} is defined twice")
        OPS[name] = Op(name, meaning, example, gradient)
        return meaning

    return enter
