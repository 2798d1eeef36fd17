"""Shared by the tests: where the data is, and what a missing tool means."""

import os
import shutil
from pathlib import Path

import pytest

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


def data_directory() -> Path | None:
    """The folder of real data: EDGETRAIN_DATA, else ../shared/data beside the checkout."""
    override = os.environ.get("EDGETRAIN_DATA")
    path = Path(override) if override else REPOSITORY.parent / "shared" / "data"
    return path if path.is_dir() else None
