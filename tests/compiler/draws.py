"""Random elements for tests, and how results are compared."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.ops import Example, Op
from edgetrain.compiler.passes.precision import narrowed_type
from edgetrain.compiler.types import FLOAT32, Int, TensorType
from tests.compiler.scalars import corners

Array = NDArray[Any]


def draw(rng: np.random.Generator, kind: TensorType) -> Array:
    """Elements of `kind`: anywhere in its range, and often where an executor may go wrong."""
    scalar, shape = kind.scalar, kind.shape
    dtype = storage_dtype(scalar)
    if isinstance(scalar, Int):
        common = rng.integers(scalar.lo, scalar.hi, shape, np.int64, endpoint=True).astype(dtype)
    else:
        common = rng.normal(0, 2, shape).astype(dtype)
    odd = rng.choice(np.array(corners(scalar), dtype), shape)
    return np.where(rng.random(shape) < rng.choice([0, 0.2, 1]), odd, common).astype(dtype)


def in_half(op: Op, example: Example) -> Example | None:
    """`example` with FLOAT16 for FLOAT32; None where the op has no FLOAT32, or is only for it."""
    if all(kind.scalar != FLOAT32 for kind in example.operands):
        return None
    half = replace(example, operands=tuple(map(narrowed_type, example.operands)))
    try:
        op.meaning(*half.operands, **half.attributes)
    except TypeError:
        return None
    return half


def equal(a: Array, b: Array) -> bool:
    """Whether both have the same type, shape and bits, all NaNs being one."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.dtype.kind != "f":
        return bool((a == b).all())
    word = f"u{a.dtype.itemsize}"
    same = np.ascontiguousarray(a).view(word) == np.ascontiguousarray(b).view(word)
    return bool((same | (np.isnan(a) & np.isnan(b))).all())
