"""Formats that python-can reads: Vector ASC and PEAK TRC (text), Vector BLF (see `blf`)."""

import itertools
import logging
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from edgetrain.can import report as met
from edgetrain.can.readers.builder import BadRow, FrameBuilder
from edgetrain.can.readers.source import Source
from edgetrain.compiler.errors import InputError

if TYPE_CHECKING:
    from can import Message

_ASC_ROW: Final = re.compile(r"\d+\.\d+\s+(\d+\s+\w+\s+(Tx|Rx)\b|CANFD\b).*", re.ASCII | re.I)
_ASC_HEADER: Final = re.compile(r"\s*(//|date\s|base\s|(no\s+)?internal events)|\s*$", re.I)
_ASC_RELATIVE: Final = re.compile(r"\s*base\s+\w+\s+timestamps\s+relative", re.I)
_TRC_ROW: Final = re.compile(r"\d+\)\s+\d+(\.\d+)?\s+([\dA-F]{4}|[\dA-F]{8}|Rx|Tx)\s.*", re.ASCII)
_STRUCTURE: Final = re.compile(r"\s*(;|//|begin trigger|end trigger|(no )?internal events)", re.I)
# ASC: python-can takes the first line that it does not know for the header's last, frame or not.
_ASC_HEADER_END: Final = "no internal events logged"


def sniff_asc(source: Source) -> bool:
    """The number base that every header names, or rows of that shape."""
    return any(
        re.match(r"base\s+(hex|dec)\b", line, re.I) or _ASC_ROW.fullmatch(line)
        for line in source.head_lines()
    )


def sniff_trc(source: Source) -> bool:
    """The file version, or rows of version 1."""
    return any(
        line.startswith(";$FILEVERSION=") or _TRC_ROW.fullmatch(line)
        for line in source.head_lines()
    )


def read_asc(source: Source, build: FrameBuilder) -> None:
    """Times relative to the start of the measurement; no labels."""

    def is_header(line: str) -> bool:
        if _ASC_RELATIVE.match(line):
            raise InputError(
                "holds times relative to the line before",
                where=str(source.path),
                remedy="export it with absolute timestamps",
            )
        return _ASC_HEADER.match(line) is not None

    _read_text(source, build, library().ASCReader, is_header, [_ASC_HEADER_END])


def read_trc(source: Source, build: FrameBuilder) -> None:
    """Times since 1970 where the header has a start time; no labels."""
    _read_text(source, build, library().TRCReader, lambda line: line[:1] == ";", [])


def library() -> Any:
    """python-can; InputError where it is not installed."""
    try:
        import can
    except ImportError as error:
        raise InputError(
            "this format needs python-can", remedy="pip install 'edgetrain[can]'"
        ) from error
    # Without a handler its warnings about single lines would reach stderr; they are counted here.
    logging.getLogger("can").addHandler(logging.NullHandler())
    return can


def add_message(message: "Message", build: FrameBuilder) -> None:
    """Add a frame of python-can, or leave it out."""
    if message.is_error_frame:
        build.leave_out(met.ERROR)
    elif message.is_remote_frame:
        build.leave_out(met.REMOTE)
    elif len(message.data) < min(message.dlc, 8):
        build.skip("fewer bytes than the DLC")
    else:
        try:
            build.add(
                round(message.timestamp * 1e6),
                message.arbitration_id,
                message.is_extended_id,
                bytes(message.data),
                None,
                fd=message.is_fd,
            )
        except (OverflowError, ValueError):
            build.skip("timestamp out of range")
        except BadRow as reason:
            build.skip(str(reason))


def _read_text(
    source: Source,
    build: FrameBuilder,
    reader: Callable[..., Iterator["Message"]],
    is_header: Callable[[str], bool],
    header_end: list[str],
) -> None:
    lines = source.lines()
    header: list[str] = []
    body = _Body(lines, build)
    for number, line in lines:
        if not is_header(line):
            body.lines = itertools.chain([(number, line)], lines)
            break
        header.append(line)
    header += header_end
    # A reader of python-can ends at the first line that it cannot parse: go on with a new one.
    while not body.ended:
        started_at = body.rows
        try:
            for message in reader(_TextFile(itertools.chain(header, body))):
                body.leave_out_all_but_last()
                add_message(message, build)
        except Exception as error:  # whatever a damaged line makes python-can raise
            if body.rows == started_at:
                raise InputError("has a damaged header", where=str(source.path)) from error
            body.leave_out_all_but_last()
            build.skip("not understood by python-can")
        else:
            body.leave_out_all()


class _Body:
    """The lines after the header, as an iterator that several readers share one after another."""

    def __init__(self, lines: Iterator[tuple[int, str]], build: FrameBuilder) -> None:
        self.lines = lines
        self.ended = False
        self.rows = 0
        self._build = build
        self._pending: list[int] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        number, line = next(self.lines, (0, ""))
        if not number:
            self.ended = True
            raise StopIteration
        self.rows += 1
        if line.strip() and not _STRUCTURE.match(line):
            self._pending.append(number)
        return line

    def leave_out_all_but_last(self) -> None:
        """Of the lines taken since the last call, only the last became something."""
        last = self._pending.pop() if self._pending else self._build.line
        self.leave_out_all()
        self._build.line = last

    def leave_out_all(self) -> None:
        """No line taken since the last call became a frame."""
        for number in self._pending:
            self._build.line = number
            self._build.leave_out(met.NO_FRAME)
        self._pending.clear()


class _TextFile:
    """As much of a text file as python-can's readers use."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[str]:
        return self._lines

    def read(self) -> str:
        """Present because python-can tells files from paths by it; never called."""
        raise NotImplementedError

    write = read

    def close(self) -> None:
        """The lines belong to the source."""
