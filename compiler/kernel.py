"""What a kernel and a target are; the kernels themselves live beside the printers."""

from dataclasses import dataclass, replace
from typing import Protocol

from edgetrain.compiler.contract import Contract
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.expr import Apply, Const, Expr, subexpressions
from edgetrain.compiler.nest import Fold, Nest
from edgetrain.compiler.types import FLOAT16, Float

SCALAR = "scalar"
"""The kernel that every printer can make of any nest."""


class Kernel(Protocol):
    """A way to carry out nests on some hardware."""

    @property
    def name(self) -> str: ...

    @property
    def requires(self) -> frozenset[str]:
        """The board features without which the kernel cannot run."""
        ...

    def contracts(self, nest: Nest) -> tuple[Contract | None, ...] | None:
        """The numerics that it keeps, a result of `nest` each (None for one without a float fold);
        None where it cannot carry out `nest`."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """What the plan knows of a board: its name, its features, and the kernels that it could use,
    the best ones first."""

    name: str
    features: frozenset[str]
    kernels: tuple[Kernel, ...] = ()

    def carried_out(self, nest: Nest) -> tuple[str, Nest]:
        """The kernel for `nest`, and the nest with the numerics of its float folds fixed."""
        for kernel in self.kernels:
            kept = kernel.contracts(nest) if kernel.requires <= self.features else None
            if kept is not None:
                return kernel.name, _with_contracts(nest, kept)
        return SCALAR, _with_contracts(nest, tuple(self._scalar(out.fold) for out in nest.outs))

    def check(self, nest: Nest) -> None:
        """Raises InputError where the board cannot compute `nest`."""
        if "f16" not in self.features and computes_in_half(nest):
            raise InputError(
                f"{self.name} does not compute in FLOAT16", remedy="choose a board with f16"
            )

    def _scalar(self, fold: Fold | None) -> Contract | None:
        """What plain code does: fused where there is an instruction for it."""
        if fold is None or not isinstance(fold.type, Float):
            return None
        return Contract(fused=bool(fold.factors) and f"fma{fold.type.bits}" in self.features)


def _with_contracts(nest: Nest, contracts: tuple[Contract | None, ...]) -> Nest:
    """`nest`, whose float folds keep `contracts` unless they have one already."""
    outs = []
    for out, contract in zip(nest.outs, contracts, strict=True):
        fold = out.fold
        if fold is not None and fold.contract is None:
            fold = replace(fold, contract=contract)
        outs.append(replace(out, fold=fold))
    return replace(nest, outs=tuple(outs))


def computes_in_half(nest: Nest) -> bool:
    """Whether `nest` needs arithmetic in FLOAT16: does more with such numbers than move them and
    convert them."""
    folds = (out.fold.type for out in nest.outs if out.fold is not None)
    expressions = (e for out in nest.outs for e in out.expressions)
    return FLOAT16 in folds or any(map(_computes_in_half, expressions))


def _computes_in_half(expr: Expr) -> bool:
    for node in subexpressions(expr):
        if isinstance(node, Apply) and node.op not in ("widen", "narrow", "select"):
            if any(e.type == FLOAT16 for e in (node, *node.args)):
                return True
        elif isinstance(node, Const) and node.type == FLOAT16:
            return True
    return False
