"""Writing labelled frames as text that the `edgetrain` reader reads back equal."""

from pathlib import Path

from edgetrain.can.frames import Frames
from edgetrain.can.kinds import kind_name
from edgetrain.can.readers.labelled import HEADER
from edgetrain.files import write_file


def write_csv(frames: Frames, path: str | Path) -> None:
    """Write `timestamp,id,extended,fd,dlc,data,kind`, one frame a row; the file appears whole.

    Seconds with six decimals (empty without timestamps), identifiers of 3 (extended: 8) and
    payloads of 2·dlc hexadecimal digits, the kind by name (empty without a label).
    """
    for kind in frames.kinds:
        if kind_name(kind) != kind:
            raise ValueError(f"kind {kind!r} cannot be written")
    text = "".join([HEADER + "\n", *_rows(frames)])
    write_file(Path(path), text.encode("ascii"))


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
