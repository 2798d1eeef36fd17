"""From a call to the body of a C function: blocked where the core has registers for it."""

from collections.abc import Collection, Sequence

from edgetrain.compiler.program import Call
from edgetrain.kernels.c.nests import NestPrinter
from edgetrain.kernels.c.operand import Operand
from edgetrain.kernels.c.schedule import tilings
from edgetrain.kernels.c.tiles import TilePrinter
from edgetrain.kernels.c.units import Unit
from edgetrain.kernels.cortex_m.vfp import VfpUnit


def unit_for(features: Collection[str]) -> Unit | None:
    """What blocked loops are made of on a core with `features`; None where they do not pay."""
    if "f32" not in features:
        return None
    return VfpUnit() if "thumb2" in features else Unit()


def print_nest(
    call: Call, reads: Sequence[Operand], results: Sequence[Operand], unit: Unit | None
) -> list[str]:
    """The lines of the body that computes `call`."""
    nest = call.nest
    operands = dict(zip((read.local for read in nest.reads), reads, strict=True))
    named = dict(zip((out.name for out in nest.outs), results, strict=True))
    tiled = None
    if unit is not None and not call.point:
        tiled = tilings(nest, operands, named, unit)
    if tiled is None:
        return NestPrinter(nest, reads, results, call.point).print()
    return [
        line
        for number, tiling in enumerate(tiled)
        for line in TilePrinter(nest, operands, named, tiling, f"t{number}_").print()
    ]
