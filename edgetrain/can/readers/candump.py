"""candump -L text, `(seconds) interface ID#DATA`, labelled where ROAD's metadata lies beside it."""

import re

from edgetrain.can import report as met
from edgetrain.can.readers.builder import BadRow, FrameBuilder
from edgetrain.can.readers.fields import hex_bytes, hexadecimal, microseconds, read_rows
from edgetrain.can.readers.road import find_injection
from edgetrain.can.readers.source import Source

_ROW = re.compile(r"\(\d+\.\d+\)\s+\S+\s+[\dA-Fa-f]+#\S*(\s+[RT])?", re.ASCII)
_ERROR_FLAG = 0x20000000


def sniff(source: Source) -> bool:
    """Rows of that shape."""
    return any(_ROW.fullmatch(line) for line in source.head_lines())


def read(source: Source, build: FrameBuilder) -> None:
    """Three digits are a standard identifier, more an extended one."""
    injection = find_injection(source)
    first_us: int | None = None

    def parse(line: str) -> None:
        nonlocal first_us
        fields = line.split()
        if not 3 <= len(fields) <= 4 or fields[0][0] != "(" or fields[0][-1] != ")":
            raise BadRow("not of the form (time) interface ID#DATA")
        digits, hash_sign, payload = fields[2].partition("#")
        if not hash_sign:
            raise BadRow("not of the form (time) interface ID#DATA")
        t_us = microseconds(fields[0][1:-1])
        identifier = hexadecimal(digits, "identifier")
        extended = len(digits) > 3
        if extended and identifier & _ERROR_FLAG:
            build.leave_out(met.ERROR)
            return
        if payload[:1] in ("R", "r"):
            build.leave_out(met.REMOTE)
            return
        fd = payload[:1] == "#"
        if fd:
            # One digit of flags stands between the second # and the payload.
            payload = payload[2:]
        # 0123456789ABCDEF_9: eight bytes under a DLC of 9.
        payload, _, _ = payload.partition("_")
        if first_us is None:
            first_us = t_us
        kind = injection.label(t_us - first_us, identifier, payload) if injection else None
        build.add(t_us, identifier, extended, hex_bytes(payload), kind, fd=fd)

    read_rows(source, build, parse)
