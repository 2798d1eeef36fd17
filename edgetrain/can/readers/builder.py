"""Collects frames row by row, applies the treatment that all formats share, and counts it."""

from array import array

import numpy as np

from edgetrain.can import report as met
from edgetrain.can.frames import UNLABELLED, Frames
from edgetrain.can.kinds import NORMAL
from edgetrain.can.report import Report
from edgetrain.compiler.errors import InputError

MAX_STANDARD = 0x7FF
MAX_EXTENDED = 0x1FFFFFFF
_MAX_T_US = 1 << 62
_MAX_KINDS = 1000
_PADDED = [bytes(8 - length) for length in range(9)]


class BadRow(Exception):
    """A row that cannot be read; the message is the reason."""


class FrameBuilder:
    """A reader sets `line`, then calls `add` or `leave_out`, or raises BadRow, once a row."""

    def __init__(self, path: str, format: str) -> None:
        self.line = 0
        self.report = Report(path, format)
        self._t_us = array("q")
        self._id = array("I")
        self._extended = bytearray()
        self._fd = bytearray()
        self._dlc = bytearray()
        self._data = bytearray()
        self._kind = array("h")
        self._kinds: dict[str | None, int] = {None: UNLABELLED, NORMAL: 0}
        self._last_t_us = -_MAX_T_US
        self.timestamped = False

    def note(self, what: str) -> None:
        """Count something met in the current row."""
        self.report.count(what, self.line)

    def leave_out(self, what: str) -> None:
        """The current row is readable, but no data frame."""
        self.report.rows += 1
        self.note(what)

    def skip(self, reason: str) -> None:
        """The current row cannot be read."""
        self.leave_out(met.SKIPPED + reason)

    def add(
        self,
        t_us: int | None,
        identifier: int,
        extended: bool,
        data: bytes,
        kind: str | None,
        *,
        fd: bool = False,
    ) -> None:
        """One data frame; `kind` is None without a label, `t_us` None without a time."""
        if not 0 <= identifier <= MAX_EXTENDED:
            raise BadRow("identifier out of range")
        if identifier > MAX_STANDARD and not extended:
            self.note(met.WIDE)
            extended = True
        if self._id and (t_us is None) == self.timestamped:
            raise BadRow("timestamp missing" if t_us is None else "timestamp unlike other rows")
        if t_us is not None:
            self.timestamped = True
            if not -_MAX_T_US < t_us < _MAX_T_US:
                raise BadRow("timestamp out of range")
            if t_us < self._last_t_us:
                self.note(met.BACKWARDS)
            self._last_t_us = t_us
        index = self._kinds.get(kind)
        if index is None:
            index = self._new_kind(kind)
        if index < 0:
            self.note(met.UNLABELLED)
        if extended:
            self.note(met.EXTENDED)
        if fd:
            self.note(met.FD)
        length = len(data)
        if length != 8:
            if length > 8:
                self.note(met.LONG)
                data, length = data[:8], 8
            else:
                self.note(met.SHORT)
        self.report.rows += 1
        self._t_us.append(t_us or 0)
        self._id.append(identifier)
        self._extended.append(extended)
        self._fd.append(fd)
        self._dlc.append(length)
        self._data += data
        self._data += _PADDED[length]
        self._kind.append(index)

    def _new_kind(self, kind: str | None) -> int:
        if len(self._kinds) > _MAX_KINDS:
            self.note(met.BAD_LABEL)
            return UNLABELLED
        return self._kinds.setdefault(kind, len(self._kinds) - 1)

    def build(self) -> Frames:
        """The frames so far; InputError if there are none."""
        n = len(self._id)
        self.report.frames = n
        if not n:
            reasons = ", ".join(f"{count} {what}" for what, count in self.report.counts.items())
            raise InputError(
                f"holds no readable data frame ({reasons or 'no rows'})",
                where=self.report.path,
                remedy=f"it was read as {self.report.format}",
            )
        return Frames(
            t_us=np.array(self._t_us, np.int64),
            timestamped=self.timestamped,
            id=np.array(self._id, np.uint32),
            extended=np.frombuffer(bytes(self._extended), np.bool_),
            fd=np.frombuffer(bytes(self._fd), np.bool_),
            dlc=np.frombuffer(bytes(self._dlc), np.uint8),
            data=np.frombuffer(bytes(self._data), np.uint8).reshape(n, 8),
            kind=np.array(self._kind, np.int16),
            kinds=tuple(kind for kind in self._kinds if kind is not None),
        )
