"""What a pass is."""

from typing import Protocol

from edgetrain.compiler.graph import Graph


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
