"""Writing labelled frames as text that the `edgetrain` reader reads back equal."""

import os
import tempfile
from pathlib import Path

from edgetrain.can.frames import Frames
from edgetrain.can.kinds import kind_name
from edgetrain.can.readers.labelled import HEADER
from edgetrain.compiler.errors import InputError


def write_csv(frames: Frames, path: str | Path) -> None:
    """Write `timestamp,id,extended,fd,dlc,data,kind`, one frame a row; the file appears whole.

    Seconds with six decimals (empty without timestamps), identifiers of 3 (extended: 8) and
    payloads of 2·dlc hexadecimal digits, the kind by name (empty without a label).
    """
    path = Path(path)
    for kind in frames.kinds:
        if kind_name(kind) != kind:
            raise ValueError(f"kind {kind!r} cannot be written")
    try:
        descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(path)) from error
    try:
        with os.fdopen(descriptor, "w", encoding="ascii", newline="\n") as file:
            file.write(HEADER + "\n")
            file.writelines(_rows(frames))
        # mkstemp makes the file private; give it the rights of any other new file.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(partial, 0o666 & ~umask)
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(path)) from error
    finally:
        Path(partial).unlink(missing_ok=True)


def _rows(frames: Frames) -> list[str]:
    kinds = [*frames.kinds, ""]
    columns = zip(
        frames.t_us.tolist(),
        frames.id.tolist(),
        frames.extended.tolist(),
        frames.fd.tolist(),
        frames.dlc.tolist(),
        frames.kind.tolist(),
        strict=True,
    )
    payloads = frames.data.tobytes().hex()
    rows = []
    for index, (t_us, identifier, extended, fd, dlc, kind) in enumerate(columns):
        time = _seconds(t_us) if frames.timestamped else ""
        digits = f"{identifier:08X}" if extended else f"{identifier:03X}"
        payload = payloads[16 * index : 16 * index + 2 * dlc]
        rows.append(f"{time},{digits},{extended:d},{fd:d},{dlc},{payload},{kinds[kind]}\n")
    return rows


def _seconds(t_us: int) -> str:
    whole, fraction = divmod(abs(t_us), 1_000_000)
    return f"{'-' * (t_us < 0)}{whole}.{fraction:06d}"
