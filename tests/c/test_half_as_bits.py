"""Half precision as bits, converted by integers: against NumPy's conversions, on this machine."""

import ctypes
import subprocess
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from edgetrain.toolchain import RUNTIME, STRICT
from tests.support import needs_tool

SOURCE = """
#include <stdint.h>
#define ET_HALF_BITS
typedef uint16_t et_half;
#include "et_half.h"
void widen(const et_half *x, float *y, int32_t n);
void widen(const et_half *x, float *y, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        y[i] = et_widen_f16(x[i]);
    }
}
void narrow(const float *x, et_half *y, int32_t n);
void narrow(const float *x, et_half *y, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        y[i] = et_narrow_f32(x[i]);
    }
}
"""
ALL = np.arange(2**16, dtype=np.uint16)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    needs_tool("gcc")
    directory = tmp_path_factory.mktemp("half")
    (directory / "half.c").write_text(SOURCE)
    flags = ("-std=c99", "-pedantic", *STRICT, "-O2")
    command = ["gcc", *flags, "-shared", "-fPIC", f"-I{RUNTIME}", "half.c", "-o", "half.so"]
    subprocess.run(command, cwd=directory, check=True)
    return ctypes.CDLL(str(directory / "half.so"))


def convert(function: Any, x: Any, to: Any) -> Any:
    y = np.empty(len(x), to)
    function(x.ctypes.data_as(ctypes.c_void_p), y.ctypes.data_as(ctypes.c_void_p), len(x))
    return y


def test_every_half_is_widened(library: ctypes.CDLL) -> None:
    wide, expected = convert(library.widen, ALL, np.float32), ALL.view(np.float16).astype("f4")
    same = wide.view(np.uint32) == expected.view(np.uint32)
    assert (same | (np.isnan(wide) & np.isnan(expected))).all()


def floats() -> Iterator[Any]:
    """Bits of floats: middles of neighbouring halves and what is beside them, and all over."""
    finite = np.sort(ALL.view(np.float16)[np.isfinite(ALL.view(np.float16))].astype(np.float64))
    middles = ((finite[1:] + finite[:-1]) / 2).astype(np.float32).view(np.uint32)
    yield from (middles + np.uint32(step) for step in (0, 1, 2**32 - 1))
    yield np.arange(0, 2**32, 1021, dtype=np.uint64).astype(np.uint32)
    ends = np.array([0, 0x33000000, 0x387FE000, 0x38800000, 0x477FF000, 0x47800000, 0x7F800000])
    yield (ends[:, None] + np.arange(-99, 99)).reshape(-1).astype(np.uint32)


def test_floats_are_narrowed_to_the_nearest(library: ctypes.CDLL) -> None:
    for bits in floats():
        x = bits.view(np.float32)
        found = convert(library.narrow, x, np.uint16).view(np.float16)
        with np.errstate(over="ignore", invalid="ignore"):
            expected = x.astype(np.float16)
        same = found.view(np.uint16) == expected.view(np.uint16)
        assert (same | (np.isnan(found) & np.isnan(expected))).all()
