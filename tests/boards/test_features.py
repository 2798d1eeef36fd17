"""The arithmetic that a board promises is in its compilers' flags: no library does it instead."""

import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from edgetrain.board import Board, ToolchainName, all_boards
from edgetrain.compiler.errors import InputError
from edgetrain.image import symbol_table
from edgetrain.toolchain import find_toolchain
from tests.support import absent

ARITHMETIC = {
    "f32": "float a(float x, float y) { return x * y + x / y - (float)(int)x; }",
    "fma32": "float b(float x, float y) { return __builtin_fmaf(x, y, x); }",
    "f16": "_Float16 c(_Float16 x, _Float16 y) { return (_Float16)(x * y - (_Float16)(float)x); }",
    "fma16": "_Float16 d(_Float16 x, _Float16 y) { return __builtin_fmaf16(x, y, x); }",
}
TARGETS = [board for board in all_boards() if board.architecture != "host"]
BUILDS = [(b, name) for b in TARGETS for name in b.toolchain if {*ARITHMETIC} & {*b.features}]


@pytest.mark.parametrize(("board", "name"), BUILDS, ids=[f"{b.name}-{n}" for b, n in BUILDS])
def test_the_core_does_its_arithmetic_itself(
    board: Board, name: ToolchainName, tmp_path: Path
) -> None:
    try:
        tools = find_toolchain(board, name)
    except InputError as error:
        absent(str(error))
    lines = [line for feature, line in ARITHMETIC.items() if feature in board.features]
    (tmp_path / "a.c").write_text("\n".join(lines), encoding="utf-8")
    flags = ["-O2", "-ffp-contract=off", "-fno-math-errno", "-fno-unwind-tables"]
    subprocess.run([*tools.compile, *flags, "-c", "a.c", "-o", "a.o"], cwd=tmp_path, check=True)
    with (tmp_path / "a.o").open("rb") as file:
        symbols = list(symbol_table(ELFFile(file)).iter_symbols())
    called = [s.name for s in symbols if s["st_shndx"] == "SHN_UNDEF" and s.name]
    assert called == []
