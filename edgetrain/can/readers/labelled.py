"""The project's own labelled CSV; `edgetrain.can.writer` writes it."""

from edgetrain.can.kinds import kind_name
from edgetrain.can.readers.builder import BadRow, FrameBuilder
from edgetrain.can.readers.fields import decimal, hex_bytes, hexadecimal, microseconds, read_rows
from edgetrain.can.readers.source import Source

HEADER = "timestamp,id,extended,fd,dlc,data,kind"
_FLAGS = {"0": False, "1": True}


def sniff(source: Source) -> bool:
    """The header on the first line."""
    return source.head_lines(1) == [HEADER]


def read(source: Source, build: FrameBuilder) -> None:
    """An empty timestamp means a recording without time, an empty kind a frame without label."""
    kinds: dict[str, str | None] = {"": None}

    def parse(line: str) -> None:
        if build.line == 1 and line == HEADER:
            return
        fields = line.split(",")
        if len(fields) != 7:
            raise BadRow("not 7 columns")
        time, identifier, extended, fd, dlc, payload, kind = fields
        if extended not in _FLAGS or fd not in _FLAGS:
            raise BadRow("extended and fd must be 0 or 1")
        data = hex_bytes(payload)
        if len(data) != decimal(dlc, "DLC"):
            raise BadRow("payload and DLC disagree")
        if kind not in kinds:
            kinds[kind] = kind_name(kind)
        build.add(
            microseconds(time) if time else None,
            hexadecimal(identifier, "identifier"),
            _FLAGS[extended],
            data,
            kinds[kind],
            fd=_FLAGS[fd],
        )

    read_rows(source, build, parse)
