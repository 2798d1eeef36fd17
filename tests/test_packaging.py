"""The wheel holds every module and data file, and works away from the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support import REPOSITORY

FOLDERS = {
    "edgetrain": "edgetrain",
    "compiler": "edgetrain/compiler",
    "kernels": "edgetrain/kernels",
    "boards": "edgetrain/boards",
}
LINKS = ("compiler", "kernels", "boards")


def source_files() -> dict[str, Path]:
    """Every file that belongs in the wheel: its name there, and where it lies in the checkout."""
    found = {}
    for folder, installed in FOLDERS.items():
        for directory, names, files in os.walk(REPOSITORY / folder):
            names[:] = [name for name in names if name != "__pycache__"]
            for name in files:
                path = Path(directory, name)
                inner = path.relative_to(REPOSITORY / folder).as_posix()
                found[f"{installed}/{inner}"] = path
    return found


def build_wheel(checkout: Path) -> Path:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "out", "."]
    subprocess.run(command, cwd=checkout, check=True, capture_output=True)
    (wheel,) = (checkout / "out").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy without build products, so that nothing stale gets in and nothing is left behind."""
    copy = tmp_path_factory.mktemp("packaging") / "checkout"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, copy)
    ignore = shutil.ignore_patterns("__pycache__", ".*")
    for folder in FOLDERS:
        shutil.copytree(REPOSITORY / folder, copy / folder, symlinks=True, ignore=ignore)
    return copy


@pytest.fixture(scope="module")
def wheel(checkout: Path) -> Path:
    return build_wheel(checkout)


def test_wheel_holds_every_file_and_no_other_name(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == set(source_files())


def test_wheel_works_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(target), str(wheel)], check=True, capture_output=True)
    script = """
import edgetrain, edgetrain.compiler, edgetrain.kernels.c
from edgetrain.board import all_boards
from edgetrain.toolchain import stage
from pathlib import Path
print(edgetrain.__file__)
for board in all_boards():
    Path(board.name).mkdir()
    if board.toolchain:
        stage(board, Path(board.name))
    print(board.name, *sorted(path.name for path in Path(board.name).iterdir()))
"""
    environment = {**os.environ, "PYTHONPATH": str(target)}
    output = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert Path(output[0]).is_relative_to(target)
    boards = {line.split()[0]: line.split()[1:] for line in output[1:]}
    assert set(boards) == {path.parent.name for path in REPOSITORY.glob("boards/*/board.toml")}
    # A board for which nothing can be built has no port.
    assert all("et_link.c" in files for files in boards.values() if files)
    assert sum(bool(files) for files in boards.values()) > 15


def test_wheel_builds_where_links_are_text_files(
    checkout: Path, wheel: Path, tmp_path: Path
) -> None:
    """As git checks them out with core.symlinks=false."""
    copy = tmp_path / "checkout"
    ignore = shutil.ignore_patterns("out", "build", "*.egg-info")
    shutil.copytree(checkout, copy, symlinks=True, ignore=ignore)
    for name in LINKS:
        link = copy / "edgetrain" / name
        assert link.is_symlink()
        link.unlink()
        link.write_text(f"../{name}")
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(build_wheel(copy)) as second:
        assert sorted(first.namelist()) == sorted(second.namelist())


def test_installed_package_is_found_from_elsewhere(tmp_path: Path) -> None:
    """The editable install that `make test` makes, or whatever is installed in its place."""
    subprocess.run(
        [sys.executable, "-c", "import edgetrain.board, edgetrain.kernels.c, edgetrain.compiler"],
        cwd=tmp_path,
        check=True,
    )
