"""What a pass is."""

from collections.abc import Collection
from typing import Protocol

from edgetrain.compiler.graph import Graph, Node, Value
from edgetrain.compiler.layout import ROW_MAJOR
from edgetrain.compiler.plan import aligned_bytes


class Pass(Protocol):
    """Valid graph in, valid graph out.

    `exact`: the outputs and states keep every bit.  A pass that is not exact runs before the
    program is fixed, so that the simulator sees what it did.
    """

    @property
    def name(self) -> str: ...

    @property
    def exact(self) -> bool: ...

    def apply(self, graph: Graph) -> Graph: ...


def stored_bytes(values: Collection[Value]) -> int:
    """What `values` take of an arena, one element after the other."""
    return sum(aligned_bytes(ROW_MAJOR, value) for value in values)


def narrows(node: Node, lasting: Collection[Value]) -> bool:
    """Whether its results take less than one of its operands that is not `lasting`."""
    made = stored_bytes(node.outputs)
    return any(made < stored_bytes([value]) for value in node.inputs if value not in lasting)
