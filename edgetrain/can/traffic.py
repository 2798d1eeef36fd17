"""What an attacker can know of recorded traffic: who sends what, and when."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgetrain.can.frames import Frames
from edgetrain.compiler.errors import InputError

MAX_SECONDS = 86_400
# Keeps an extended identifier apart from a standard one of the same number.
_EXTENDED_KEY = 1 << 29


@dataclass(frozen=True)
class Sender:
    """All frames of one identifier, in order of time; none of them empty."""

    id: int
    extended: bool
    t_us: npt.NDArray[np.int64]
    payloads: list[bytes]

    def latest(self, t_us: int) -> bytes:
        """The payload on the bus at `t_us`."""
        return self.payloads[self._count(t_us) - 1]

    def earlier(self, rng: np.random.Generator, t_us: int) -> bytes:
        """Any payload sent until `t_us`."""
        return self.payloads[int(rng.integers(self._count(t_us)))]

    def ever_sends(self, payload: bytes) -> bool:
        """Whether the recording holds that payload under this identifier."""
        return payload in self.payloads

    def _count(self, t_us: int) -> int:
        return max(1, int(np.searchsorted(self.t_us, t_us, side="right")))


class Traffic:
    """An index of clean frames, sorted by time; InputError where nothing can be attacked."""

    def __init__(self, frames: Frames) -> None:
        if not len(frames) or frames.t_us[0] == frames.t_us[-1]:
            raise InputError("the log is too short to inject attacks into")
        self.start_us = int(frames.t_us[0])
        self.end_us = int(frames.t_us[-1])
        if self.end_us - self.start_us > MAX_SECONDS * 1_000_000:
            # Most often a clock that was set while recording; attacks would fill the gap.
            raise InputError(
                "the log spans more than a day", remedy="cut it where its clock jumps, or into days"
            )
        self.senders = _senders(frames[frames.dlc > 0])
        if not self.senders:
            raise InputError("no frame of the log carries a payload")
        self._first_us = np.array([sender.t_us[0] for sender in self.senders])
        # On the wire an extended frame is known by its 11 base bits first, and loses a tie.
        ranks = np.where(
            frames.extended, (frames.id >> 18 << 19) + 1, frames.id.astype(np.int64) << 1
        )
        best = int(np.argmin(ranks))
        self.highest_priority = (int(frames.id[best]), bool(frames.extended[best]))
        self.unused = np.setdiff1d(np.arange(1, 0x800), frames.id[~frames.extended])
        if not len(self.unused):
            raise InputError("the log uses every 11-bit identifier")

    def sender(self, rng: np.random.Generator, t_us: int) -> Sender:
        """One of the identifiers seen until `t_us`, all equally likely."""
        seen = np.flatnonzero(self._first_us <= t_us)
        return self.senders[int(rng.choice(seen))] if len(seen) else self.senders[0]


def _senders(frames: Frames) -> list[Sender]:
    keys = frames.id + np.where(frames.extended, _EXTENDED_KEY, 0).astype(np.uint32)
    by_key = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[by_key], prepend=-1))
    return [_sender(frames[rows]) for rows in np.split(by_key, starts)[1:]]


def _sender(own: Frames) -> Sender:
    payloads = [bytes(row[:dlc]) for row, dlc in zip(own.data, own.dlc.tolist(), strict=True)]
    return Sender(int(own.id[0]), bool(own.extended[0]), own.t_us, payloads)
