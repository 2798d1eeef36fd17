"""The house: what may import what, and that packages and folders are the same."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import REPOSITORY

LAYERS = {
    "compiler": ("edgetrain.compiler",),
    "kernels": ("edgetrain.compiler", "edgetrain.kernels"),
}
"""Folder → what of ours it may import; the folder edgetrain may import all."""
LINKS = ("compiler", "kernels", "boards")
HEAVY = ("torch", "brevitas", "onnxruntime", "qonnx", "can", "serial", "unicorn")
"""What takes seconds to import, or is not there in every installation."""


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it; all are absolute."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            assert node.module is not None
            yield node.module


def sources(folder: str) -> list[Path]:
    found = sorted((REPOSITORY / folder).rglob("*.py"))
    assert found
    return found


def ours(path: Path) -> set[str]:
    return {name for name in imports(path) if name.split(".")[0] in ("edgetrain", *LINKS)}


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("folder", LAYERS)
def test_imports_run_downwards_only(folder: str) -> None:
    for path in sources(folder):
        for name in ours(path):
            assert any(within(name, package) for package in LAYERS[folder]), f"{path}: {name}"


@pytest.mark.parametrize("folder", ["edgetrain", "tests"])
def test_the_folders_are_imported_under_one_name(folder: str) -> None:
    for path in sources(folder):
        for name in ours(path):
            assert within(name, "edgetrain"), f"{path}: {name}"
            assert not within(name, "edgetrain.boards"), f"{path}: {name} is data"


def test_types_and_expressions_stand_at_the_bottom() -> None:
    compiler = REPOSITORY / "compiler"
    assert ours(compiler / "types.py") <= {"edgetrain.compiler.errors"}
    assert ours(compiler / "primitives.py") <= {
        "edgetrain.compiler.errors",
        "edgetrain.compiler.rounding",
        "edgetrain.compiler.types",
    }
    assert ours(compiler / "expr.py") <= {
        "edgetrain.compiler.errors",
        "edgetrain.compiler.primitives",
        "edgetrain.compiler.types",
    }
    for low in ("errors.py", "rounding.py"):
        assert not (compiler / low).exists() or ours(compiler / low) == set()


def test_only_the_importer_knows_onnx() -> None:
    for folder in ("compiler", "kernels"):
        for path in sources(folder):
            names = {name.split(".")[0] for name in imports(path)}
            assert "qonnx" not in names, path
            assert "onnx" not in names or path.parent.name == "onnx_io", path


@pytest.mark.parametrize("module", ["edgetrain", "edgetrain.pipeline", "edgetrain.simulator"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    script = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_the_packages_are_the_folders() -> None:
    table = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    listed = table["tool"]["setuptools"]["packages"]
    found = {"edgetrain.boards"} & set(listed)  # data: no folder of modules
    for folder in ("edgetrain", "compiler", "kernels"):
        top = REPOSITORY / folder
        for path in top.rglob("__init__.py"):
            parts = path.parent.relative_to(top).parts
            if folder == "edgetrain" and parts[:1] and parts[0] in LINKS:
                continue
            base = "edgetrain" if folder == "edgetrain" else f"edgetrain.{folder}"
            found.add(".".join((base, *parts)))
    assert len(listed) == len(set(listed))
    assert set(listed) == found


@pytest.mark.parametrize("name", LINKS)
def test_the_folders_are_linked_into_the_package(name: str) -> None:
    link = REPOSITORY / "edgetrain" / name
    assert (link / ".").exists()
    assert link.resolve() == REPOSITORY / name
    listed = subprocess.run(
        ["git", "ls-files", "--stage", f"edgetrain/{name}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    # Not in an unpacked archive, where git knows nothing.
    assert not listed or listed.startswith("120000 ")
