"""Fixtures for every test."""

from pathlib import Path

import pytest

from tests.support import absent, data_directory


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every", action="store_true", help="train on every board, not on those whose turn it is"
    )


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data; it is never part of the repository."""
    path = data_directory()
    if path is None:
        absent("real data absent: set EDGETRAIN_DATA to its folder")
        raise AssertionError("unreachable")
    return path
