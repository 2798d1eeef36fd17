"""The square root of cores without an instruction for it, against NumPy's; and no library call."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgetrain.kernels.c import program as printer
from tests.support import needs_tool

HEADER = Path(printer.__file__).parent / "runtime" / "et_ops.h"
SOURCE = """
#include "et_ops.h"
void roots(const float *x, float *y, int32_t n);
void roots(const float *x, float *y, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        y[i] = et_sqrt_f32(x[i]);
    }
}
"""


def compile_source(directory: Path, *arguments: str) -> Path:
    (directory / "roots.c").write_text(SOURCE)
    out = directory / "roots.out"
    command = [*arguments, f"-I{HEADER.parent}", "-fno-math-errno", "-o", str(out)]
    subprocess.run([*command, str(directory / "roots.c")], check=True)
    return out


@pytest.fixture(scope="module")
def digit_by_digit(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no compiler for this machine")
    flags = ("-O2", "-shared", "-fPIC", "-DET_SQRT_INSTRUCTION=0")
    return ctypes.CDLL(str(compile_source(tmp_path_factory.mktemp("roots"), compiler, *flags)))


# Two exponents of either parity with every significand, every subnormal, and all exponents.
RANGES = [
    np.arange(0x3F800000, 0x40800000, dtype=np.uint32),
    np.arange(0, 0x00800000, dtype=np.uint32),
    np.arange(0, 2**32, 4093, dtype=np.uint64).astype(np.uint32),
    np.array([0x80000000, 0x80000001, 0x7F7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000], np.uint32),
]


@pytest.mark.parametrize("bits", RANGES, ids=["significands", "subnormals", "exponents", "ends"])
def test_it_equals_numpy(digit_by_digit: ctypes.CDLL, bits: np.ndarray) -> None:
    x = bits.view(np.float32)
    y = np.empty_like(x)
    pointer = ctypes.POINTER(ctypes.c_float)
    digit_by_digit.roots(x.ctypes.data_as(pointer), y.ctypes.data_as(pointer), len(x))
    with np.errstate(invalid="ignore"):
        right = np.sqrt(x)
    holds = (y.view(np.uint32) == right.view(np.uint32)) | (np.isnan(y) & np.isnan(right))
    assert holds.all(), bits[~holds][:5]


CORES = {
    "arm-none-eabi-gcc": [
        ("-mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16", True),
        ("-mcpu=cortex-m7 -mfloat-abi=hard -mfpu=fpv5-d16", True),
        ("-mcpu=cortex-m0 -mfloat-abi=soft", False),
    ],
    "riscv64-unknown-elf-gcc": [
        ("-march=rv32imafc -mabi=ilp32f", True),
        ("-march=rv32imc -mabi=ilp32", False),
    ],
}


@pytest.mark.parametrize("optimise", ["-O0", "-O2"])
@pytest.mark.parametrize("compiler", sorted(CORES))
def test_no_library_is_called(compiler: str, optimise: str, tmp_path: Path) -> None:
    needs_tool(compiler)
    for flags, instruction in CORES[compiler]:
        flagged = (compiler, "-mthumb") if "arm" in compiler else (compiler,)
        text = compile_source(
            tmp_path, *flagged, *flags.split(), optimise, "-S", "-ffreestanding"
        ).read_text()
        called = {line.split()[-1] for line in text.splitlines() if "sqrt" in line}
        assert "sqrtf" not in called
        assert ("vsqrt.f32" in text or "fsqrt.s" in text) == instruction
