"""Arrays of elements as C."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.types import Float, Int, Scalar
from edgetrain.kernels.c.expressions import constant

_PER_LINE = 12


def print_array(declaration: str, elements: NDArray[Any]) -> list[str]:
    """A C array with an initialiser."""
    texts = [literal(v, elements.dtype, elements.dtype.kind) for v in elements.tolist()]
    rows = [
        "    " + ", ".join(texts[start : start + _PER_LINE]) + ","
        for start in range(0, len(texts), _PER_LINE)
    ]
    return [f"{declaration}[{len(texts)}] = {{", *rows, "};"]


def literal(value: int | float, dtype: np.dtype[Any], kind: str) -> str:
    """An element in its own type."""
    if kind == "f":
        return constant(value, Float(dtype.itemsize * 8))
    if kind == "u":
        return f"{value}u" if dtype.itemsize < 8 else f"UINT64_C({value})"
    return constant(value, _scalar_of(dtype))


def _scalar_of(dtype: np.dtype[Any]) -> Scalar:
    limits = np.iinfo(dtype)
    return Int(int(limits.min), int(limits.max))
