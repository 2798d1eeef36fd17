"""Fields of text formats: strict, because int() and float() take more than any logger writes."""

from collections.abc import Callable

from edgetrain.can import report as met
from edgetrain.can.readers.builder import BadRow, FrameBuilder
from edgetrain.can.readers.source import Source


def read_rows(source: Source, build: FrameBuilder, parse: Callable[[str], None]) -> None:
    """Call `parse` on every line that is not blank; count those that raise BadRow as skipped."""
    for build.line, line in source.lines():
        if not line or line.isspace():
            continue
        try:
            parse(line)
        except BadRow as reason:
            build.skip(str(reason))


def microseconds(seconds: str) -> int:
    """Decimal seconds as integer microseconds, ties to even."""
    # The usual six decimals are taken as written; large times lose digits as floats.
    if seconds[-7:-6] == ".":
        digits = seconds[:-7] + seconds[-6:]
        if digits.isdigit() and digits.isascii():
            return int(digits) if len(digits) < 30 else _bad_timestamp()
    if not seconds.isascii() or "_" in seconds:
        return _bad_timestamp()
    try:
        return round(float(seconds) * 1e6)
    except (ValueError, OverflowError):
        return _bad_timestamp()


def _bad_timestamp() -> int:
    raise BadRow("timestamp is not a number")


def hexadecimal(text: str, what: str) -> int:
    """An unsigned hexadecimal number, with or without 0x."""
    try:
        # isalnum: no sign, blank or underscore.
        if text.isalnum() and text.isascii():
            return int(text, 16)
    except ValueError:
        pass
    raise BadRow(f"{what} is not hexadecimal")


def decimal(text: str, what: str) -> int:
    """An unsigned decimal number of up to 18 digits."""
    if text.isdigit() and text.isascii() and len(text) < 19:
        return int(text)
    raise BadRow(f"{what} is not a number")


def hex_bytes(text: str) -> bytes:
    """Pairs of hexadecimal digits without separators."""
    try:
        if not text or (text.isalnum() and text.isascii()):
            return bytes.fromhex(text)
    except ValueError:
        pass
    raise BadRow("payload is not hexadecimal")


def without_float_suffix(text: str, build: FrameBuilder) -> str:
    """Spreadsheets and pandas turn the identifier 290 into 290.0: its digits stay as they are."""
    if text.endswith(".0"):
        build.note(met.FLOAT_ID)
        return text[:-2]
    return text


def columns(line: str, count: int, build: FrameBuilder) -> list[str]:
    """The line's columns; spreadsheets pad it with empty ones, which are dropped above `count`."""
    fields = line.split(",")
    if len(fields) > count and not fields[-1]:
        build.note(met.TRAILING_COMMAS)
        while len(fields) > count and not fields[-1]:
            fields.pop()
    return fields


def classic_length(dlc: int, build: FrameBuilder) -> int:
    """Payload bytes of a classic frame: a DLC of 9 to 15 means 8."""
    if dlc > 8:
        if dlc > 15:
            raise BadRow("DLC above 15")
        build.note(met.DLC_ABOVE_8)
        return 8
    return dlc
