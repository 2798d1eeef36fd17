"""From a call to the body of a C function: vectors, blocked loops, or plain ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgetrain.compiler.contract import Contract
from edgetrain.compiler.expr import sub
from edgetrain.compiler.kernel import Target
from edgetrain.compiler.layout import ROW_MAJOR
from edgetrain.compiler.nest import Nest, axes, reduction
from edgetrain.compiler.program import Call
from edgetrain.compiler.types import TensorType
from edgetrain.kernels.c.nests import NestPrinter
from edgetrain.kernels.c.operand import Operand
from edgetrain.kernels.c.schedule import sums, tilings
from edgetrain.kernels.c.tiles import TilePrinter
from edgetrain.kernels.c.units import Unit
from edgetrain.kernels.cortex_m.mve import MveUnit
from edgetrain.kernels.cortex_m.vfp import VfpUnit
from edgetrain.kernels.riscv.rvv import RvvUnit
from edgetrain.kernels.riscv.xpulp import XpulpUnit

VECTOR_UNITS: tuple[Unit, ...] = (MveUnit(), RvvUnit(16), RvvUnit(32), XpulpUnit())


@dataclass(frozen=True)
class VectorKernel:
    """The nests that a unit of vectors can carry out, whatever their shape."""

    unit: Unit

    @property
    def name(self) -> str:
        return self.unit.name

    @property
    def requires(self) -> frozenset[str]:
        return self.unit.requires

    def contracts(self, nest: Nest) -> tuple[Contract | None, ...] | None:
        """Fused; a sum a lane where the lanes lie along the folded dim."""
        found = tilings(nest, self.unit)
        if found is None:
            return None
        lanes = {out.name: sums(tiling, out) for tiling in found for out in tiling.outs}
        return tuple(
            None if out.fold is None else Contract(bool(out.fold.factors), lanes[out.name])
            for out in nest.outs
        )


KERNELS = tuple(VectorKernel(unit) for unit in VECTOR_UNITS)
"""What a plan can choose from, the best first."""


@dataclass(frozen=True)
class Units:
    """What a core has for calls: by the name of their kernel, and for scalar ones."""

    features: frozenset[str]
    unroll: bool

    @property
    def target(self) -> Target:
        return Target("", self.features, KERNELS)

    def of(self, call: Call) -> Unit | None:
        """The unit for `call`; None where plain loops keep the same contract."""
        for unit in VECTOR_UNITS:
            if call.kernel == unit.name:
                return unit if unit.requires <= self.features else None
        if "f32" not in self.features or not self.unroll:
            return None
        return VfpUnit() if "thumb2" in self.features else Unit()


def differences(kind: TensorType) -> Nest:
    """y = Σ (x − x) over a tensor of floats: 0 where all are finite, otherwise NaN."""
    return reduction(axes(kind.shape), "add", lambda x: sub(x, x), 0.0, x=kind)


def print_nest(
    call: Call, reads: Sequence[Operand], results: Sequence[Operand], unit: Unit | None
) -> list[str]:
    """The lines of the body that computes `call`."""
    nest = call.nest
    operands = dict(zip((read.local for read in nest.reads), reads, strict=True))
    named = dict(zip((out.name for out in nest.outs), results, strict=True))
    plain = all(operand.layout == ROW_MAJOR for operand in (*reads, *results))
    tiled = tilings(nest, unit) if unit is not None and plain and not call.point else None
    if tiled is None:
        return NestPrinter(nest, reads, results, call.point).print()
    return [
        line
        for number, tiling in enumerate(tiled)
        for line in TilePrinter(nest, operands, named, tiling, f"t{number}_").print()
    ]
