"""What a kernel and a target are; the kernels themselves live beside the printers."""

from dataclasses import dataclass
from typing import Protocol

from edgetrain.compiler.nest import Nest

SCALAR = "scalar"
"""The kernel that every printer can make of any nest."""


class Kernel(Protocol):
    """A way to carry out a nest on some hardware."""

    @property
    def name(self) -> str: ...

    @property
    def requires(self) -> frozenset[str]:
        """The board features without which the kernel cannot run."""
        ...

    def implements(self, nest: Nest) -> bool:
        """Whether this kernel computes exactly what `nest` says."""
        ...

    def cost(self, nest: Nest) -> int:
        """Estimated instructions."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """What the plan knows of a board: its name, its features and the kernels that it could use."""

    name: str
    features: frozenset[str]
    kernels: tuple[Kernel, ...] = ()

    def kernel_for(self, nest: Nest) -> str:
        """The cheapest kernel that the features allow; the printed scalar one where none fits."""
        fitting = [k for k in self.kernels if k.requires <= self.features and k.implements(nest)]
        return min(fitting, key=lambda k: k.cost(nest)).name if fitting else SCALAR
