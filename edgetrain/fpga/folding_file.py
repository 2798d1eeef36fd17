"""Foldings on file: FINN's JSON, an object a layer with its PE and SIMD."""

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.folding import Folding, foldings, unit_names
from edgetrain.compiler.program import Program

_FINN = re.compile(r"(?:MVAU|MatrixVectorActivation|VVAU)(?:_hls|_rtl)?_(\d+)", re.ASCII)
_DEFAULTS = "Defaults"


def read_foldings(path: Path, program: Program) -> dict[str, Folding]:
    """Those in `path`, by unit; layers go by our units' names, or by FINN's, which number the
    matrix products.  Others of FINN's settings are left to FINN.  Raises InputError."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot be read as JSON: {error}", where=str(path)) from None
    if not isinstance(table, dict):
        raise InputError("is no object of layers", where=str(path))
    possible = allowed(program)
    products = [name for name in possible if name.startswith("matmul")]
    found = {}
    for name, settings in table.items():
        if name == _DEFAULTS:
            continue
        finn = _FINN.fullmatch(name)
        number = int(finn[1]) if finn else len(products)
        unit = products[number] if number < len(products) else name
        if unit not in possible:
            known = ", ".join(possible)
            raise InputError(f"no layer {name!r}", where=str(path), remedy=f"layers: {known}")
        found[unit] = _folding(settings, possible[unit], f"{path}: {name}")
    return found


def allowed(program: Program) -> dict[str, tuple[Folding, ...]]:
    """What each unit may be, the smallest first."""
    names = unit_names(program)
    found: dict[str, tuple[Folding, ...]] = {}
    for entry in program.entries:
        for place, call in enumerate(entry.calls):
            found.setdefault(names[entry.name, place], foldings(call, program.constants))
    return found


def _folding(settings: Any, possible: Collection[Folding], where: str) -> Folding:
    if not isinstance(settings, Mapping):
        raise InputError("is no object", where=where)
    lanes = [settings.get(key, 1) for key in ("PE", "SIMD")]
    if any(type(number) is not int or number < 1 for number in lanes):
        raise InputError("PE and SIMD are no whole numbers from 1 on", where=where)
    wanted = Folding(*lanes)
    if wanted not in possible:
        choices = [
            ", ".join(map(str, sorted({getattr(each, side) for each in possible})))
            for side in ("pe", "simd")
        ]
        raise InputError(
            f"PE {wanted.pe} and SIMD {wanted.simd} do not fit the layer",
            where=where,
            remedy=f"PE: {choices[0]}; SIMD: {choices[1]}",
        )
    return wanted
