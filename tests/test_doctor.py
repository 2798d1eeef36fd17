"""The diagnosis, against what this process can see by itself."""

import stat
from pathlib import Path

import numpy as np
import pytest

from edgetrain.board import all_boards
from edgetrain.doctor import _distribution, diagnose


def test_it_finds_what_is_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "qemu-system-arm"
    program.write_text("#!/bin/sh\necho QEMU emulator version 12.3.4\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    tools = {tool.name: tool for tool in diagnose()}
    assert (tools["qemu-system-arm"].found, tools["qemu-system-arm"].version) == (True, "12.3.4")
    assert not tools["gcc"].found
    assert tools["gcc"].version == ""


def test_versions_of_packages() -> None:
    assert _distribution("numpy") == np.__version__
    assert _distribution("no-such-distribution") is None


def test_every_tool_of_every_board_is_covered_and_installable() -> None:
    tools = {tool.name: tool for tool in diagnose()}
    assert all(tool.install for tool in tools.values())
    for board in all_boards():
        if board.qemu is not None:
            assert board.qemu.program in tools
        if board.simulators:
            assert {"verilator", "pyosys", "hls4ml", "g++"} <= set(tools)
        for name, compiler in board.toolchain.items():
            assert (compiler.prefix + "gcc" if name == "gcc" else name) in tools
        if board.flasher is not None:
            for command in board.flasher.commands:
                # GCC's package brings the other GNU tools.
                assert command[0].replace("objcopy", "gcc") in tools
