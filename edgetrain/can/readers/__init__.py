"""Reading recordings of CAN traffic, whatever their format."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgetrain.can.frames import Frames
from edgetrain.can.readers import (
    blf,
    candump,
    ciciov,
    daga,
    hcrl,
    labelled,
    python_can,
    python_can_csv,
)
from edgetrain.can.readers.builder import FrameBuilder
from edgetrain.can.readers.source import Source
from edgetrain.can.report import DAMAGED, Report
from edgetrain.compiler.errors import InputError


@dataclass(frozen=True)
class Format:
    """`sniff` tells the format by content; `read` adds every row to the builder."""

    description: str
    sniff: Callable[[Source], bool]
    read: Callable[[Source, FrameBuilder], None]


FORMATS: Final = {
    "edgetrain": Format("labelled CSV of edgetrain inject", labelled.sniff, labelled.read),
    "candump": Format("candump -L text (.log), ROAD", candump.sniff, candump.read),
    "daga": Format("DAGA / Volvo V40 CSV", daga.sniff, daga.read),
    "hcrl": Format("HCRL Car-Hacking CSV", hcrl.sniff, hcrl.read),
    "ciciov2024": Format("CICIoV2024 decimal CSV", ciciov.sniff, ciciov.read),
    "asc": Format("Vector ASC", python_can.sniff_asc, python_can.read_asc),
    "blf": Format("Vector BLF", blf.sniff, blf.read),
    "trc": Format("PEAK TRC", python_can.sniff_trc, python_can.read_trc),
    "python-can-csv": Format("python-can CSV", python_can_csv.sniff, python_can_csv.read),
}


@dataclass(frozen=True)
class Recording:
    """What a file holds, and what was met while reading it."""

    frames: Frames
    report: Report


def read(path: str | Path, format: str | None = None) -> Recording:
    """Read the recording at `path`, plain or compressed with gzip or xz.

    The format is told by content unless named (a key of FORMATS).  Rows that cannot be read are
    counted in the report.  InputError: no such file, unknown format, not one readable frame.
    """
    source = Source(path)
    name = format or _sniff(source)
    if name not in FORMATS:
        raise InputError(f"unknown format {name!r}", remedy=f"formats: {', '.join(FORMATS)}")
    build = FrameBuilder(str(path), name)
    FORMATS[name].read(source, build)
    if source.damaged:
        build.note(DAMAGED)
    return Recording(build.build(), build.report)


def _sniff(source: Source) -> str:
    for name, format in FORMATS.items():
        if format.sniff(source):
            return name
    raise InputError(
        "is no recording of a known format" if source.head else "holds no readable data",
        where=str(source.path),
        remedy="known: " + ", ".join(format.description for format in FORMATS.values()),
    )
