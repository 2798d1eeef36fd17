"""The documentation: tables are current, links lead somewhere, the tutorial's commands work."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import REPOSITORY, absent
from tools.docs_tables import documents, render

_BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_tables_are_current(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert render(text) == text, "run `make docs`"


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    targets = _LINK.findall(path.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (path.parent / target).exists()] == []


def test_the_tutorial_works(tmp_path: Path) -> None:
    """Writes its files, and runs its commands in order, in an empty directory."""
    for module in ("torch", "brevitas", "ziglang", "unicorn"):
        if importlib.util.find_spec(module) is None:
            absent(f"{module} not installed; pip install 'edgetrain[train,mcu]'")
    text = (REPOSITORY / "docs" / "tutorial.md").read_text(encoding="utf-8")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    commands = 0
    for language, name, block in _BLOCK.findall(text):
        if name:
            (tmp_path / name).write_text(block, encoding="utf-8")
        if language == "sh":
            done = subprocess.run(
                ["sh", "-e", "-c", block],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{block}{done.stdout}{done.stderr}"
            commands += 1
    assert commands == 6
