"""Builds the hand-written model of `stub` for a board."""

import shutil
from pathlib import Path

from edgetrain.board import Board
from edgetrain.compiler.errors import InputError
from edgetrain.toolchain import STRICT, Build, build, find_toolchain
from tests.support import absent

STUB = Path(__file__).resolve().parent / "stub"
TABLE = bytes(i % 251 for i in range(600))  # the second state tensor after et_init


def build_stub(board: Board, directory: Path, toolchain: str = "auto", *flags: str) -> Build:
    """The stub's image, compiled with warnings as errors; skips where the toolchain is absent."""
    try:
        find_toolchain(board, toolchain)
    except InputError as error:
        absent(str(error))
    shutil.copytree(STUB, directory / "src", dirs_exist_ok=True)
    return build(board, directory, toolchain=toolchain, extra_flags=(*STRICT, *flags))
