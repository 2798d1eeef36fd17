"""Shared by the tests: where the data is, and what a missing tool means."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from edgetrain.board import load_board
from edgetrain.pipeline import Program, write_project
from edgetrain.verify import VerifyReport, verify

REPOSITORY = Path(__file__).resolve().parent.parent
IN_CI = os.environ.get("CI") == "true"


def absent(reason: str) -> None:
    """Skip with `reason`; in continuous integration, where nothing may be absent, fail."""
    if IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)


def needs_tool(*names: str) -> None:
    """Skip (in CI: fail) unless every executable of `names` is on PATH."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        absent(f"{', '.join(missing)} not installed; `make tools` installs it")


def assert_bit_exact(program: Program, directory: Path, **how: Any) -> VerifyReport:
    """The image of `program`, built into `directory`, computes what the simulator does: in QEMU,
    where that models the board, else on this machine; `how` as for `verify`."""
    qemu = load_board(program.target).qemu
    if qemu is not None:
        needs_tool(qemu.program)
    write_project(program, directory)
    report = verify(directory, link="host" if qemu is None else "qemu", **how)
    assert report.bit_exact, report.first_mismatch
    return report


def data_directory() -> Path | None:
    """The folder of real data: EDGETRAIN_DATA, else ../shared/data beside the checkout."""
    override = os.environ.get("EDGETRAIN_DATA")
    path = Path(override) if override else REPOSITORY.parent / "shared" / "data"
    return path if path.is_dir() else None
