"""HCRL Car-Hacking CSV: Timestamp, ID, DLC, bytes …, flag (R normal, T injected); no header."""

import re

from edgetrain.can import report as met
from edgetrain.can.kinds import NORMAL, kind_name
from edgetrain.can.readers.builder import MAX_STANDARD, BadRow, FrameBuilder
from edgetrain.can.readers.fields import (
    classic_length,
    columns,
    decimal,
    hexadecimal,
    microseconds,
    read_rows,
    without_float_suffix,
)
from edgetrain.can.readers.source import Source

_ROW = re.compile(r"\d+\.\d+,[\dA-Fa-f.]{1,10},\d+(,[\dA-Fa-f]{1,2})*(,[RT])?,*")


def sniff(source: Source) -> bool:
    """Rows of that shape; the published files have no header."""
    return any(_ROW.fullmatch(line) for line in source.head_lines())


def read(source: Source, build: FrameBuilder) -> None:
    """Injected rows are of the kind that the file's name says (`DoS_dataset` is DoS).

    Published rows are either as wide as their DLC or padded to 8 bytes: the DLC decides.
    """
    labels = {"R": NORMAL, "T": kind_name(source.stem.partition("_dataset")[0])}

    def parse(line: str) -> None:
        fields = columns(line, 3, build)
        if len(fields) < 3:
            raise BadRow("fewer than 3 columns")
        time, identifier, dlc, *payload = fields
        length = classic_length(decimal(dlc, "DLC"), build)
        kind = None
        if payload and len(payload[-1]) == 1 and not payload[-1].isdigit():
            kind = labels.get(payload.pop())
            if kind is None:
                build.note(met.BAD_LABEL)
        if len(payload) < length:
            raise BadRow("fewer bytes than the DLC")
        if len(payload) > length:
            build.note(met.BEYOND_DLC)
        number = hexadecimal(without_float_suffix(identifier, build), "identifier")
        build.add(
            microseconds(time),
            number,
            number > MAX_STANDARD,
            bytes([_byte(text) for text in payload[:length]]),
            kind,
        )

    read_rows(source, build, parse)


def _byte(text: str) -> int:
    value = hexadecimal(text, "payload byte")
    if value > 0xFF:
        raise BadRow("payload byte above 255")
    return value
