"""The injector: fresh, labelled attacks in clean traffic.

Attack frames are added at times of their own; the clean frames stay untouched, so arbitration is
not modelled (on a real bus a flood delays what it floods).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from edgetrain.can.frames import Frames, concatenate, sorted_by_time
from edgetrain.can.kinds import NORMAL
from edgetrain.can.readers import read
from edgetrain.can.report import Report
from edgetrain.can.traffic import Traffic
from edgetrain.can.writer import write_csv
from edgetrain.compiler.errors import InputError

FLOOD_FRAMES: Final = 90
# Back to back at 500 kbit/s.
FLOOD_GAP_US: Final = 222
BURST_US: Final = 1_000_000
BURST_GAP_US: Final = 10_000

# Frames of one attack: (microseconds after its start, identifier, extended, payload).
Attack = list[tuple[int, int, bool, bytes]]


def _dos(rng: np.random.Generator, traffic: Traffic, t_us: int) -> Attack:
    """A flood of 90 frames, back to back, of identifier 0 or the log's highest-priority one."""
    identifier, extended = traffic.highest_priority if rng.random() < 0.5 else (0, False)
    payload = rng.bytes(8)
    gaps = np.cumsum(rng.integers(FLOOD_GAP_US, FLOOD_GAP_US + 20, FLOOD_FRAMES))
    return [(int(gap), identifier, extended, payload) for gap in gaps]


def _fuzz(rng: np.random.Generator, traffic: Traffic, t_us: int) -> Attack:
    """One frame: a known identifier, every byte of the payload random."""
    sender = traffic.sender(rng, t_us)
    return [(0, sender.id, sender.extended, rng.bytes(len(sender.latest(t_us))))]


def _byte_fuzz(rng: np.random.Generator, traffic: Traffic, t_us: int) -> Attack:
    """One frame: the identifier's latest payload with 1 to 4 bytes changed."""
    sender = traffic.sender(rng, t_us)
    return [(0, sender.id, sender.extended, changed(rng, sender.latest(t_us)))]


def _unknown(rng: np.random.Generator, traffic: Traffic, t_us: int) -> Attack:
    """One frame: an 11-bit identifier that the log does not hold, 8 random bytes."""
    return [(0, int(rng.choice(traffic.unused)), False, rng.bytes(8))]


def _replay(rng: np.random.Generator, traffic: Traffic, t_us: int) -> Attack:
    """One frame: any earlier payload of its identifier, unchanged."""
    sender = traffic.sender(rng, t_us)
    return [(0, sender.id, sender.extended, sender.earlier(rng, t_us))]


def _burst(rng: np.random.Generator, traffic: Traffic, t_us: int) -> Attack:
    """100 Hz for one second: a known identifier with one fixed payload that it never sends.

    The payload is the latest one with 1 to 4 bytes changed.
    """
    sender = traffic.sender(rng, t_us)
    forged = changed(rng, sender.latest(t_us))
    for _ in range(64):
        if not sender.ever_sends(forged):
            break
        forged = changed(rng, forged)
    starts = np.arange(0, BURST_US, BURST_GAP_US) + rng.integers(0, 100, BURST_US // BURST_GAP_US)
    return [(int(start), sender.id, sender.extended, forged) for start in starts]


@dataclass(frozen=True)
class Kind:
    """One kind of attack: how often it starts and which frames it adds."""

    per_second: float
    length_us: int
    frames: Callable[[np.random.Generator, Traffic, int], Attack]


KINDS: Final = {
    "dos": Kind(0.3, FLOOD_FRAMES * (FLOOD_GAP_US + 20), _dos),
    # The four kinds of single frames make eight a second together.
    "fuzz": Kind(2.0, 0, _fuzz),
    "byte-fuzz": Kind(2.0, 0, _byte_fuzz),
    "unknown": Kind(2.0, 0, _unknown),
    "replay": Kind(2.0, 0, _replay),
    "burst": Kind(0.15, BURST_US, _burst),
}


def changed(rng: np.random.Generator, payload: bytes) -> bytes:
    """`payload` with 1 to 4 of its bytes replaced by other values."""
    data = bytearray(payload)
    count = int(rng.integers(1, min(4, len(data)) + 1))
    for position in rng.choice(len(data), count, replace=False):
        data[position] ^= int(rng.integers(1, 256))
    return bytes(data)


def inject(clean: Frames, kinds: Sequence[str] = tuple(KINDS), seed: int = 0) -> Frames:
    """`clean` with attacks of `kinds` (keys of KINDS) merged in, in order of time.

    Each kind occurs `per_second`·duration times, at least once, at starts drawn uniformly;
    frames of `clean` are labelled normal and precede attack frames of the same microsecond.
    The same input gives the same output, and a kind's attacks do not depend on the other kinds.
    """
    for name in kinds:
        if name not in KINDS:
            raise InputError(f"unknown attack {name!r}", remedy=f"attacks: {', '.join(KINDS)}")
    if seed < 0:
        raise InputError("the seed is negative")
    if not clean.timestamped:
        raise InputError("attacks can only be injected into frames with timestamps")
    if np.any(clean.kind > 0):
        raise InputError(f"the log holds {int((clean.kind > 0).sum())} labelled attacks already")
    clean = sorted_by_time(_labelled_normal(clean))
    traffic = Traffic(clean)
    parts = [clean]
    for index, (name, kind) in enumerate(KINDS.items()):
        if name in kinds:
            parts.append(_attacks(np.random.default_rng([seed, index]), traffic, name, kind))
    return sorted_by_time(concatenate(parts))


def _attacks(rng: np.random.Generator, traffic: Traffic, name: str, kind: Kind) -> Frames:
    """All frames of one kind, over the whole time of the traffic."""
    count = max(1, round(kind.per_second * (traffic.end_us - traffic.start_us) / 1e6))
    last_start = max(traffic.start_us, traffic.end_us - kind.length_us)
    starts = np.sort(rng.integers(traffic.start_us, last_start, count, endpoint=True))
    rows = [
        (start + after, identifier, extended, payload)
        for start in starts.tolist()
        for after, identifier, extended, payload in kind.frames(rng, traffic, start)
    ]
    times, identifiers, extended, payloads = zip(*rows, strict=True)
    n = len(rows)
    data = b"".join(payload.ljust(8, b"\0") for payload in payloads)
    return Frames(
        t_us=np.array(times, np.int64),
        timestamped=True,
        id=np.array(identifiers, np.uint32),
        extended=np.array(extended, np.bool_),
        fd=np.zeros(n, np.bool_),
        dlc=np.array([len(payload) for payload in payloads], np.uint8),
        data=np.frombuffer(data, np.uint8).reshape(n, 8),
        kind=np.ones(n, np.int16),
        kinds=(NORMAL, name),
    )


def _labelled_normal(frames: Frames) -> Frames:
    kind: npt.NDArray[np.int16] = np.zeros(len(frames), np.int16)
    return Frames(**{**vars(frames), "kind": kind, "kinds": (NORMAL,)})


@dataclass(frozen=True)
class InjectSummary:
    """What `inject_file` wrote: all frames, those injected, of each kind; how the log was read."""

    frames: int
    injected: int
    per_kind: dict[str, int]
    report: Report


def inject_file(
    clean: str | Path, kinds: Sequence[str], seed: int, out: str | Path
) -> InjectSummary:
    """Read the log `clean`, inject, write the labelled frames to `out` (see `write_csv`)."""
    recording = read(clean)
    frames = inject(recording.frames, kinds, seed)
    write_csv(frames, out)
    per_kind = {kind: int(frames.of_kind(kind).sum()) for kind in frames.kinds[1:]}
    return InjectSummary(len(frames), sum(per_kind.values()), per_kind, recording.report)
