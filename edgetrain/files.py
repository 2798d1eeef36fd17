"""Files of a user: NumPy's read as the untrusted bytes that they are, all written whole."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.files import write_whole

# What a .npy file may be longer than its elements, and an archive than its members.
_HEADER_BYTES = 1 << 16


def read_npy(path: Path) -> NDArray[Any]:
    """The array of a .npy file; InputError for anything else, and for pickled objects."""
    try:
        # Mapped, so that a header which promises more than the file holds costs no memory.
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(mapped, np.ndarray):
            return np.array(mapped)
        mapped.close()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", where=str(path)) from error
    except Exception as error:  # a damaged header raises many kinds
        raise _refusal(path, ".npy") from error
    raise _refusal(path, ".npy")


def read_npz(path: Path, max_bytes: int) -> dict[str, NDArray[Any]]:
    """The arrays of a .npz file, `max_bytes` in all at most; InputError for anything else."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
        allowed = max_bytes + _HEADER_BYTES * len(members)
        if sum(member.file_size for member in members) > allowed:
            raise InputError(f"holds more than {max_bytes:,} bytes", where=str(path))
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", where=str(path)) from error
    except Exception as error:  # a damaged archive raises many kinds
        raise _refusal(path, ".npz") from error


def write_file(path: Path, content: bytes) -> None:
    """Writes `path` whole or not at all; InputError where that is impossible."""
    try:
        write_whole(path, content)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(path)) from error


def _refusal(path: Path, kind: str) -> InputError:
    return InputError(
        f"is no {kind} file of numbers", where=str(path), remedy="write it with NumPy"
    )
