"""Sizes against binutils' `size`; the stack's bound on call graphs whose answer is known."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edgetrain.image import (
    LIBRARY_CALL_BYTES,
    frames_from_section,
    frames_from_su,
    image_sizes,
    stack_bound,
)
from edgetrain.toolchain import zig_command
from tests.support import absent, needs_tool

CHAIN = """
#define FILL(n) volatile char b[n]; for (int i = 0; i < n; i++) b[i] = 1
#define FUNCTION __attribute__((noinline)) static void
void unknown(volatile char *p);
FUNCTION leaf(void) { FILL(1000); }
FUNCTION wide(void) { FILL(3000); }
FUNCTION deep(void) { FILL(2500); leaf(); b[1] = 2; }
void top(int x) { if (x) wide(); else deep(); deep(); }
void other(void) { FILL(100); unknown(b); b[1] = 1; }
"""
CYCLE = """
int odd(int);
int __attribute__((noinline)) even(int n) { return n ? odd(n - 1) + n : 1; }
int __attribute__((noinline)) odd(int n) { return n ? even(n - 1) * n : 0; }
"""
Compile = Callable[[str, Path], tuple[Path, dict[str, int]]]
THUMB = ["-target", "thumb-freestanding-eabi", "-mcpu=cortex_m0", "-fno-sanitize=all"]


def compile_gcc(source: str, folder: Path) -> tuple[Path, dict[str, int]]:
    needs_tool("gcc")
    (folder / "a.c").write_text(source, encoding="utf-8")
    command = ["gcc", "-O1", "-ffunction-sections", "-fno-optimize-sibling-calls"]
    # Below a leaf's stack pointer x86-64 has 128 bytes more.
    command.append("-mno-red-zone")
    subprocess.run([*command, "-fstack-usage", "-c", "a.c"], cwd=folder, check=True)
    return folder / "a.o", frames_from_su(folder / "a.su")


def compile_zig(source: str, folder: Path) -> tuple[Path, dict[str, int]]:
    zig = zig_command()
    if zig is None:
        absent("ziglang not installed; pip install 'edgetrain[mcu]'")
        raise AssertionError("unreachable")
    (folder / "a.c").write_text(source, encoding="utf-8")
    command = [*zig, "cc", *THUMB, "-O1", "-ffunction-sections", "-fno-optimize-sibling-calls"]
    subprocess.run([*command, "-fstack-size-section", "-c", "a.c"], cwd=folder, check=True)
    return folder / "a.o", frames_from_section(folder / "a.o")


@pytest.mark.parametrize("compile_c", [compile_gcc, compile_zig])
def test_the_deepest_path_counts(compile_c: Compile, tmp_path: Path) -> None:
    path, frames = compile_c(CHAIN, tmp_path)
    assert set(frames) == {"leaf", "wide", "deep", "top", "other"}
    for name, room in (("leaf", 1000), ("wide", 3000), ("deep", 2500), ("other", 100)):
        assert room <= frames[name] <= room + 64
    assert stack_bound(path, frames) == frames["top"] + frames["deep"] + frames["leaf"]
    shallow = frames | {"leaf": 0, "wide": 0, "deep": 0, "top": 0}
    assert stack_bound(path, shallow) == frames["other"] + LIBRARY_CALL_BYTES


@pytest.mark.parametrize("compile_c", [compile_gcc, compile_zig])
def test_recursion_has_no_bound(compile_c: Compile, tmp_path: Path) -> None:
    path, frames = compile_c(CYCLE, tmp_path)
    with pytest.raises(ValueError, match="recursion"):
        stack_bound(path, frames)


def test_gcc_reports_clones_without_their_numbers(tmp_path: Path) -> None:
    name = 'int f(int x) __asm__("f.constprop.0.isra.0");'
    path, _ = compile_gcc(f"{name} int f(int x) {{ return x; }}", tmp_path)
    assert stack_bound(path, {"f.constprop.isra": 123}) == 123


def test_sizes_are_those_of_binutils(tmp_path: Path) -> None:
    needs_tool("gcc", "size")
    (tmp_path / "a.c").write_text(
        "const int c[100] = {1}; int d[50] = {2}; int z[1000]; int f(int x) { return c[x] + d[x]; }"
        "int main(void) { return f(0) + z[1]; }",
        encoding="utf-8",
    )
    subprocess.run(["gcc", "a.c", "-o", "a.out"], cwd=tmp_path, check=True)
    done = subprocess.run(
        ["size", "a.out"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    text, data, bss = map(int, done.stdout.splitlines()[1].split()[:3])
    sizes = image_sizes(tmp_path / "a.out")
    assert (sizes.flash, sizes.ram) == (text + data, data + bss)
