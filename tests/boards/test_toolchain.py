"""Compilers that fail: a refusal is passed on, a crash is not the end."""

import sys
from pathlib import Path

import pytest

from edgetrain.toolchain import compile_object

CRASHING = """
import sys
if "-fno-slp-vectorize" not in sys.argv:
    sys.exit("clang: error: clang frontend command failed with exit code 139")
open("a.o", "w").write(" ".join(sys.argv[1:]))
"""


def test_a_compiler_that_crashes_is_asked_for_less(tmp_path: Path) -> None:
    (tmp_path / "cc.py").write_text(CRASHING)
    compile_object([sys.executable, "cc.py", "-O2"], tmp_path)
    assert (tmp_path / "a.o").read_text() == "-O2 -fno-slp-vectorize"


def test_a_compiler_that_refuses_is_heard(tmp_path: Path) -> None:
    (tmp_path / "cc.py").write_text("raise SystemExit('a.c:1: error: no such type')")
    with pytest.raises(RuntimeError, match="no such type"):
        compile_object([sys.executable, "cc.py"], tmp_path)
