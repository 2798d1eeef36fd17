"""Where the data is, and what is made of it once and kept under build/."""

import os
from pathlib import Path

from edgetrain.compiler.errors import InputError
from tools.experiments.store import REPOSITORY


def data_folder(name: str) -> Path:
    """The folder `name` of the data: in EDGETRAIN_DATA, else in ../shared/data."""
    override = os.environ.get("EDGETRAIN_DATA")
    folder = (Path(override) if override else REPOSITORY.parent / "shared" / "data") / name
    if not folder.is_dir():
        raise InputError("no such data", where=str(folder), remedy="set EDGETRAIN_DATA")
    return folder
