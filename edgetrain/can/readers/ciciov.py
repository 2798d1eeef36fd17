"""CICIoV2024 decimal CSV: ID, DATA_0 … DATA_7, label, category, specific_class; no time, no DLC."""

from edgetrain.can.kinds import NORMAL, kind_name
from edgetrain.can.readers.builder import MAX_STANDARD, BadRow, FrameBuilder
from edgetrain.can.readers.fields import (
    columns,
    decimal,
    read_rows,
    without_float_suffix,
)
from edgetrain.can.readers.source import Source

HEADER = "ID," + ",".join(f"DATA_{i}" for i in range(8)) + ",label,category,specific_class"
_BYTES = {str(value): value for value in range(256)}


def sniff(source: Source) -> bool:
    """The header."""
    return any(line.rstrip(",").casefold() == HEADER.casefold() for line in source.head_lines())


def read(source: Source, build: FrameBuilder) -> None:
    """Rows labelled BENIGN are normal, the others of the kind in `specific_class`.

    Without a DLC every frame counts as 8 bytes; without a time `timestamped` is false.
    """
    kinds: dict[str, str | None] = {"BENIGN": NORMAL, "": None}
    header = HEADER.casefold()

    def parse(line: str) -> None:
        fields = columns(line, 12, build)
        if build.line == 1 and line.rstrip(",").casefold() == header:
            return
        if not 9 <= len(fields) <= 12:
            raise BadRow("not 12 columns")
        specific = fields[-1] if len(fields) == 12 else ""
        if specific not in kinds:
            kinds[specific] = NORMAL if specific.upper() == "BENIGN" else kind_name(specific)
        number = decimal(without_float_suffix(fields[0], build), "identifier")
        try:
            data = bytes([_BYTES[text] for text in fields[1:9]])
        except KeyError:
            data = bytes([_byte(text) for text in fields[1:9]])
        build.add(None, number, number > MAX_STANDARD, data, kinds[specific])

    read_rows(source, build, parse)


def _byte(text: str) -> int:
    value = decimal(text.removesuffix(".0"), "payload byte")
    if value > 0xFF:
        raise BadRow("payload byte above 255")
    return value
