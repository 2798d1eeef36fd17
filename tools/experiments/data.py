"""Where the data is, and what is made of it once and kept under build/."""

import os
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from edgetrain.can.frames import Frames
from edgetrain.can.readers import read
from edgetrain.compiler.errors import InputError
from edgetrain.files import write_file
from tools.experiments.store import BUILD, REPOSITORY, hash_of

T = TypeVar("T")


def data_folder(name: str) -> Path:
    """The folder `name` of the data: in EDGETRAIN_DATA, else in ../shared/data."""
    override = os.environ.get("EDGETRAIN_DATA")
    folder = (Path(override) if override else REPOSITORY.parent / "shared" / "data") / name
    if not folder.is_dir():
        raise InputError("no such data", where=str(folder), remedy="set EDGETRAIN_DATA")
    return folder


@cache
def recording(name: str) -> Frames:
    """The frames of a recording in the folder can/."""
    return read(data_folder("can") / name).frames


def cached(name: str, make: Callable[[], T], code: tuple[str, ...]) -> T:
    """What `make` gives, from a file if it was made before by the same `code` (see `hash_of`).

    `name` says of what parameters it is.  Only for files of this machine's own: they are pickled.
    """
    path = BUILD / "cache" / f"{name}-{hash_of(code)}.pickle"
    if path.is_file():
        found: T = pickle.loads(path.read_bytes())
        return found
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, pickle.dumps(made))
    return made
