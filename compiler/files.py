"""Files that appear whole, and arrays as bytes."""

import io
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def write_whole(path: Path, content: bytes) -> None:
    """Write `path` so that nobody ever sees half of it; after an OSError nothing is left behind."""
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        # mkstemp makes the file private; give it the rights of any other new file.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(partial, 0o666 & ~umask)
        os.replace(partial, path)
    finally:
        Path(partial).unlink(missing_ok=True)


def npz_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The content of a .npz file; the same arrays give the same bytes."""
    archive = io.BytesIO()
    np.savez(archive, **dict(arrays))  # type: ignore[arg-type]
    return archive.getvalue()
