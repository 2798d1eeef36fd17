"""DAGA (Volvo V40) CSV: timestamp, CAN_ID, DLC, PAYLOAD_HEX, PAYLOAD_BIN, ANOMALY."""

import re

from edgetrain.can import report as met
from edgetrain.can.kinds import NORMAL, kind_name
from edgetrain.can.readers.builder import MAX_STANDARD, BadRow, FrameBuilder
from edgetrain.can.readers.fields import (
    classic_length,
    columns,
    decimal,
    hex_bytes,
    hexadecimal,
    microseconds,
    read_rows,
    without_float_suffix,
)
from edgetrain.can.readers.source import Source

HEADER = "timestamp,CAN_ID,DLC,PAYLOAD_HEX,PAYLOAD_BIN,ANOMALY"
_ROW = re.compile(r"[\d.e+-]+,[\dA-Fa-f.]+,\d+,[\dA-Fa-f]*,[01]*,(true|false),*", re.IGNORECASE)


def sniff(source: Source) -> bool:
    """The header, or rows of that shape."""
    return any(
        line.rstrip(",").casefold() == HEADER.casefold() or _ROW.fullmatch(line)
        for line in source.head_lines()
    )


def read(source: Source, build: FrameBuilder) -> None:
    """Anomalous rows are of the kind that the file's name says."""
    labels = {"False": NORMAL, "FALSE": NORMAL}
    attack = kind_name(source.stem)
    labels |= {"True": attack, "TRUE": attack}
    header = HEADER.casefold()

    def parse(line: str) -> None:
        fields = columns(line, 6, build)
        if len(fields) != 6:
            if len(fields) != 5:
                raise BadRow("not 6 columns")
            fields.append("")
        time, identifier, dlc, payload, _, anomaly = fields
        if build.line == 1 and line.rstrip(",").casefold() == header:
            return
        kind = labels.get(anomaly)
        if kind is None and anomaly:
            kind = labels.get(anomaly.strip().title())
            if kind is None:
                build.note(met.BAD_LABEL)
        number = hexadecimal(without_float_suffix(identifier, build), "identifier")
        build.add(
            microseconds(time),
            number,
            number > MAX_STANDARD,
            _payload(payload, dlc, build),
            kind,
        )

    read_rows(source, build, parse)


def _payload(payload: str, dlc: str, build: FrameBuilder) -> bytes:
    """The payload as one number whose leading zeros may be lost; the DLC says its length."""
    length = decimal(dlc, "DLC")
    if length > 8 and length % 8 == 0 and length <= 64:
        build.note(met.DLC_IN_BITS)
        length //= 8
    else:
        length = classic_length(length, build)
    missing = 2 * length - len(payload)
    if missing > 0:
        build.note(met.LOST_ZEROS)
        payload = "0" * missing + payload
    data = hex_bytes(payload)
    if missing < 0:
        build.note(met.BEYOND_DLC)
        data = data[:length]
    return data
