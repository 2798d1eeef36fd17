"""A made-up vehicle: seeded CAN traffic for demonstrations and tests.

No accuracy on it says anything about a real vehicle.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from edgetrain.can.frames import Frames, concatenate, sorted_by_time
from edgetrain.compiler.errors import InputError

_PERIODS_MS: Final = (10, 10, 20, 20, 20, 40, 50, 50, 100, 100, 100, 200, 500, 500, 1000, 1000)
_EVENTS_PER_S: Final = (0.5, 1.0, 2.0)
# A data frame of 8 bytes at 500 kbit/s, stuffing included, lasts about this long.
_FRAME_US: Final = 230
MAX_SECONDS: Final = 86_400.0


def synthetic_bus(seconds: float = 60.0, seed: int = 0) -> Frames:
    """`seconds` of clean traffic of one vehicle (about 450 frames a second), labelled normal.

    Sixteen periodic messages (periods of 10 ms to 1 s, jitter of 1 %) hold a 4-bit counter, a
    checksum over the rest, two slowly varying signals, flags that toggle now and then and constant
    bytes; three more are sent on events.  The bus carries one frame at a time.  `seed` draws both
    the vehicle and its drive; the same seed gives the same frames.
    """
    if not 0 < seconds <= MAX_SECONDS:
        raise InputError(f"synthetic traffic lasts more than 0 and at most {MAX_SECONDS:,.0f} s")
    if seed < 0:
        raise InputError("the seed is negative")
    rng = np.random.default_rng(seed)
    count = len(_PERIODS_MS) + len(_EVENTS_PER_S)
    # Drawn without repetition; fast messages get the higher priority, as in real vehicles.
    identifiers = np.sort(rng.choice(np.arange(0x10, 0x700), count, replace=False))
    end_us = seconds * 1e6
    parts = []
    for identifier, period_ms in zip(identifiers, _PERIODS_MS, strict=False):
        period = period_ms * 1000
        times = np.arange(rng.uniform(0, period), end_us, period)
        times += np.clip(rng.normal(0, 0.01, len(times)), -0.04, 0.04) * period
        parts.append(_message(rng, int(identifier), times, period))
    for identifier, rate in zip(identifiers[len(_PERIODS_MS) :], _EVENTS_PER_S, strict=True):
        times = np.sort(rng.uniform(0, end_us, rng.poisson(rate * seconds)))
        parts.append(_message(rng, int(identifier), times, 1e6 / rate))
    return _serialised(sorted_by_time(concatenate(parts)))


def _message(
    rng: np.random.Generator, identifier: int, times: npt.NDArray[np.float64], period_us: float
) -> Frames:
    n = len(times)
    dlc = int(rng.choice([8, 8, 8, 8, 6, 4]))
    data = np.zeros((n, 8), np.uint8)
    data[:] = rng.integers(0, 256, 8)
    data[:, 0] = _slow_signal(rng, times)
    data[:, 1] = _slow_signal(rng, times)
    if dlc > 4:
        # The flags change about every ten seconds.
        toggles = rng.random(n) < period_us / 1e7
        data[:, 2] = (np.cumsum(toggles) & 1) * int(rng.integers(1, 16))
    data[:, dlc - 2] = np.arange(n) & 0xF
    data[:, dlc - 1] = 0
    data[:, dlc:] = 0
    data[:, dlc - 1] = np.bitwise_xor.reduce(data, axis=1) ^ (identifier & 0xFF)
    return Frames(
        t_us=np.rint(np.maximum(times, 0)).astype(np.int64),
        timestamped=True,
        id=np.full(n, identifier, np.uint32),
        extended=np.zeros(n, np.bool_),
        fd=np.zeros(n, np.bool_),
        dlc=np.full(n, dlc, np.uint8),
        data=data,
        kind=np.zeros(n, np.int16),
    )


def _slow_signal(
    rng: np.random.Generator, times: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """A sum of two sines, 8 to 130 s long, within 0 … 255."""
    centre, swing = rng.uniform(60, 195), rng.uniform(10, 60)
    longs, shorts = rng.uniform(30, 130), rng.uniform(8, 30)
    phases = rng.uniform(0, 2 * np.pi, 2)
    angle = 2 * np.pi * times / 1e6
    wave = 0.7 * np.sin(angle / longs + phases[0]) + 0.3 * np.sin(angle / shorts + phases[1])
    signal: npt.NDArray[np.float64] = np.rint(centre + swing * wave)
    return signal


def _serialised(frames: Frames) -> Frames:
    """Delay frames so that none starts before its predecessor has ended."""
    slots = np.arange(len(frames)) * _FRAME_US
    t_us = np.maximum.accumulate(frames.t_us - slots) + slots
    columns = {**vars(frames), "t_us": t_us}
    return Frames(**columns)
