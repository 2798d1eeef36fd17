"""The CSV that python-can's CSVWriter writes; the payload is in base64."""

import binascii
from base64 import b64decode

from edgetrain.can import report as met
from edgetrain.can.readers.builder import BadRow, FrameBuilder
from edgetrain.can.readers.fields import hexadecimal, microseconds, read_rows
from edgetrain.can.readers.source import Source

HEADER = "timestamp,arbitration_id,extended,remote,error,dlc,data"


def sniff(source: Source) -> bool:
    """The header on the first line."""
    return source.head_lines(1) == [HEADER]


def read(source: Source, build: FrameBuilder) -> None:
    """Read row by row without python-can, whose reader ends at the first damaged row."""

    def parse(line: str) -> None:
        if build.line == 1 and line == HEADER:
            return
        fields = line.split(",")
        if len(fields) != 7:
            raise BadRow("not 7 columns")
        time, identifier, extended, remote, error, _, payload = fields
        if error == "1":
            build.leave_out(met.ERROR)
            return
        if remote == "1":
            build.leave_out(met.REMOTE)
            return
        try:
            data = b64decode(payload, validate=True)
        except (binascii.Error, ValueError):
            raise BadRow("payload is not base64") from None
        number = hexadecimal(identifier, "identifier")
        build.add(microseconds(time), number, extended == "1", data, None, fd=len(data) > 8)

    read_rows(source, build, parse)
