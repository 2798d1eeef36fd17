"""Fixtures for every test."""

from pathlib import Path

import pytest

from tests.support import absent, data_directory


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every", action="store_true", help="try every board, seed and model, not a part of them"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "one_in(n): without --every only the n-th of them are tried")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what `one_in` says."""
    if config.getoption("--every"):
        return
    met: dict[str, int] = {}
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        mark = item.get_closest_marker("one_in")
        name = item.nodeid.partition("[")[0]
        met[name] = met.get(name, -1) + 1
        (left_out if mark is not None and met[name] % mark.args[0] else kept).append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data; it is never part of the repository."""
    path = data_directory()
    if path is None:
        absent("real data absent: set EDGETRAIN_DATA to its folder")
        raise AssertionError("unreachable")
    return path
