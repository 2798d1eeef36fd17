"""Buffers of different types in one place, by every compiler that is here."""

import ctypes
import subprocess
from pathlib import Path

import pytest

from edgetrain.board import load_board
from edgetrain.compiler.errors import InputError
from edgetrain.toolchain import FLAGS, RUNTIME, find_toolchain

SOURCE = """
#include "et_ops.h"
static union { int32_t whole[4]; int16_t half[8]; } arena;
static void first(int32_t ET_MAY_ALIAS *x, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        x[i] = n + i;
    }
}
static int32_t second(const int32_t ET_MAY_ALIAS *x, int16_t ET_MAY_ALIAS *y) {
    const int32_t before = x[0];
    y[0] = 1;
    return x[0] - before;
}
int changed(int32_t *x, int16_t *y);
int changed(int32_t *x, int16_t *y) { return second(x, y); }
int of_the_arena(int32_t n);
int of_the_arena(int32_t n) { first(arena.whole, n); return second(arena.whole, arena.half); }
"""


@pytest.mark.parametrize("name", ["gcc", "clang", "zig"])
def test_a_store_is_seen_through_a_pointer_of_another_type(name: str, tmp_path: Path) -> None:
    try:
        tools = find_toolchain(load_board("host"), name)
    except InputError as error:
        pytest.skip(str(error))
    (tmp_path / "alias.c").write_text(SOURCE)
    flags = [*FLAGS, "-O2", "-fPIC", "-c", f"-I{RUNTIME}", "alias.c", "-o", "alias.o"]
    subprocess.run([*tools.compile, *flags], cwd=tmp_path, check=True)
    link = [*tools.link, "-shared", "alias.o", "-o", "alias.so"]
    subprocess.run(link, cwd=tmp_path, check=True)
    library = ctypes.CDLL(str(tmp_path / "alias.so"))
    buffer = (ctypes.c_int32 * 1)(7)
    assert library.changed(buffer, buffer) == 1 - 7
    assert library.of_the_arena(4) == 1 - 4
