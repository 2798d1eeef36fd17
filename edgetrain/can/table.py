"""What a detector knows of a bus: one row per identifier, learned on normal traffic.

The table, the alarm threshold and the class names travel with the model, as JSON in the ONNX file's
`metadata_props` under `METADATA_KEY`.  A model file may be hostile: parsing is strict and bounded.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.can.frames import Frames
from edgetrain.compiler.errors import InputError

METADATA_KEY = "edgetrain.can"
METADATA_VERSION = 1

EXTENDED = 1 << 29
"""Added to a 29-bit identifier, so that every identifier of either kind has a key of its own."""

PERIOD_LIMIT = 1 << 24
"""Periods and gaps are below this many microseconds (16.8 s)."""

DEFAULT_PERIOD_US = 100_000
"""Period of the row that all unknown identifiers share, and of an identifier seen only once: 10 Hz
is the middle of what vehicles send."""

MIN_FRAMES = 16
"""Below so many frames, that a bit never toggled says nothing: the row's mask stays empty."""

MAX_ROWS = 4096
MAX_TEXT = 1 << 20
MAX_CLASSES = 64

_CLASS_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_HEX = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, eq=False)
class IdentifierTable:
    """Rows in ascending order of `key`, then one shared row for every identifier not listed.

    `key`        uint32 (n,): the identifier, plus 2^29 for a 29-bit one; n ≤ 4096.
    `period_us`  uint32 (n + 1,): median gap on normal traffic, 1 ≤ period < 2^24.
    `mask`       uint8 (n + 1, 8): the payload bits that never toggled; 0 in the shared row.
    `value`      uint8 (n + 1, 8): the constant values of those bits, 0 outside `mask`.

    Arrays are read-only.  Raises `InputError` if any of this does not hold.
    """

    key: NDArray[np.uint32]
    period_us: NDArray[np.uint32]
    mask: NDArray[np.uint8]
    value: NDArray[np.uint8]

    def __post_init__(self) -> None:
        n = len(self.key)
        _require(n <= MAX_ROWS, f"{n} rows, more than {MAX_ROWS}", "table")
        expected = (
            ("key", np.uint32, (n,)),
            ("period_us", np.uint32, (n + 1,)),
            ("mask", np.uint8, (n + 1, 8)),
            ("value", np.uint8, (n + 1, 8)),
        )
        for name, dtype, shape in expected:
            array = getattr(self, name)
            fits = array.dtype == dtype and array.shape == shape
            _require(fits, f"is {array.dtype}{array.shape}, not {dtype.__name__}{shape}", name)
            copy = array.copy()
            copy.flags.writeable = False
            object.__setattr__(self, name, copy)
        key = self.key.astype(np.int64)
        standard, extended = key < 1 << 11, (key >= EXTENDED) & (key < 2 * EXTENDED)
        _require(bool(np.all(standard | extended)), "is not an identifier's", "key")
        _require(bool(np.all(np.diff(key) > 0)), "is not strictly ascending", "key")
        in_range = (self.period_us >= 1) & (self.period_us < PERIOD_LIMIT)
        _require(bool(np.all(in_range)), f"is outside 1 … {PERIOD_LIMIT - 1}", "period_us")
        _require(not np.any(self.mask[n]), "is set in the row of unknown identifiers", "mask")
        _require(not np.any(self.value & ~self.mask), "has bits outside the mask", "value")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdentifierTable) and all(
            np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)
        )

    def __len__(self) -> int:
        """The number of identifiers listed; the shared row has this index."""
        return len(self.key)

    def row(self, frames: Frames) -> NDArray[np.intp]:
        """The row of each frame; `len(self)` for an identifier not listed."""
        key = frame_key(frames)
        if len(self) == 0:
            return np.zeros(len(key), np.intp)
        index = np.minimum(np.searchsorted(self.key, key), len(self) - 1)
        return np.where(self.key[index] == key, index, len(self))

    def without(self, rows: NDArray[np.integer]) -> "IdentifierTable":
        """The table less these rows: their identifiers are unknown to it."""
        return IdentifierTable(
            np.delete(self.key, rows),
            np.delete(self.period_us, rows),
            np.delete(self.mask, rows, axis=0),
            np.delete(self.value, rows, axis=0),
        )

    def to_json(self) -> dict[str, Any]:
        """`{"rows": [[key, period_us, mask, value], …], "unknown_period_us": …}`, masks in hex."""
        rows = [
            [int(key), int(period), mask.tobytes().hex(), value.tobytes().hex()]
            for key, period, mask, value in zip(
                self.key, self.period_us[:-1], self.mask[:-1], self.value[:-1], strict=True
            )
        ]
        return {"rows": rows, "unknown_period_us": int(self.period_us[-1])}

    @classmethod
    def from_json(cls, data: object) -> "IdentifierTable":
        """The inverse of `to_json`; `InputError` for anything else."""
        table = _object(data, {"rows", "unknown_period_us"}, "table")
        rows = table["rows"]
        _require(isinstance(rows, list), "is not a list", "table.rows")
        _require(len(rows) <= MAX_ROWS, f"has more than {MAX_ROWS} rows", "table.rows")
        shared = [0, table["unknown_period_us"], "00" * 8, "00" * 8]
        for index, row in enumerate([*rows, shared]):
            where = f"table.rows[{index}]"
            _require(isinstance(row, list) and len(row) == 4, "is not a list of four", where)
            for number in row[:2]:
                plain = type(number) is int and 0 <= number < 1 << 32
                _require(plain, "key or period is not an unsigned 32-bit integer", where)
            for text in row[2:]:
                plain = isinstance(text, str) and _HEX.fullmatch(text) is not None
                _require(plain, "mask or value is not sixteen lower-case hex digits", where)
        every = [*rows, shared]
        return cls(
            key=np.array([row[0] for row in rows], np.uint32),
            period_us=np.array([row[1] for row in every], np.uint32),
            mask=_bytes(row[2] for row in every),
            value=_bytes(row[3] for row in every),
        )


@dataclass(frozen=True)
class CanModel:
    """What turns a network's outputs into verdicts on frames.

    `classes[0]` is "normal" and the network has one output per class.  A frame raises an alarm iff
    the largest attack output minus the normal output is at least `alarm_threshold`, in the domain
    of the model's outputs.
    """

    classes: tuple[str, ...]
    alarm_threshold: float
    table: IdentifierTable

    def __post_init__(self) -> None:
        _require(2 <= len(self.classes) <= MAX_CLASSES, f"not 2 to {MAX_CLASSES}", "classes")
        _require(len(set(self.classes)) == len(self.classes), "names a class twice", "classes")
        for name in self.classes:
            plain = _CLASS_NAME.fullmatch(name) is not None
            _require(plain, f"{name[:40]!r} is not a lower-case name", "classes")
        _require(self.classes[0] == "normal", "does not begin with 'normal'", "classes")
        _require(math.isfinite(self.alarm_threshold), "is not finite", "alarm_threshold")

    def serialise(self) -> str:
        """The JSON text for the model file; the same text for the same model, always."""
        return json.dumps(
            {
                "version": METADATA_VERSION,
                "classes": list(self.classes),
                "alarm_threshold": self.alarm_threshold,
                "table": self.table.to_json(),
            },
            separators=(",", ":"),
            allow_nan=False,
        )

    @classmethod
    def parse(cls, text: str) -> "CanModel":
        """The inverse of `serialise`; `InputError` for anything else."""
        _require(len(text) <= MAX_TEXT, f"is longer than {MAX_TEXT} characters", "")
        try:
            data = json.loads(text, object_pairs_hook=_no_duplicates)
        except (ValueError, RecursionError) as error:
            raise InputError("is not JSON", where=_where("")) from error
        top = _object(data, {"version", "classes", "alarm_threshold", "table"}, "")
        version = top["version"]
        known = type(version) is int and version == METADATA_VERSION
        _require(known, f"is not {METADATA_VERSION}", "version")
        classes = top["classes"]
        texts = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
        _require(texts, "is not a list of names", "classes")
        threshold = top["alarm_threshold"]
        _require(type(threshold) in (int, float), "is not a number", "alarm_threshold")
        _require(abs(threshold) < 1e30, "is not a number of ordinary size", "alarm_threshold")
        return cls(tuple(classes), float(threshold), IdentifierTable.from_json(top["table"]))


def frame_key(frames: Frames) -> NDArray[np.uint32]:
    """The table key of each frame."""
    return frames.id.astype(np.uint32) + np.where(
        frames.extended, np.uint32(EXTENDED), np.uint32(0)
    )


def fit_table(frames: Frames) -> IdentifierTable:
    """Learns the table from the frames of `frames` that are not labelled as an attack.

    Frames without a label count as normal.  An identifier seen once, or in a log without
    timestamps, gets `DEFAULT_PERIOD_US`; one seen fewer than `MIN_FRAMES` times an empty mask.
    Where there are more than `MAX_ROWS` identifiers, the most frequent are listed.
    """
    normal = frames.kind <= 0
    key, t_us, data = frame_key(frames)[normal], frames.t_us[normal], frames.data[normal]
    order = np.argsort(key, kind="stable")
    keys, start, count = np.unique(key[order], return_index=True, return_counts=True)
    kept = np.sort(np.argsort(-count, kind="stable")[:MAX_ROWS])
    period = np.full(len(kept) + 1, DEFAULT_PERIOD_US, np.uint32)
    mask = np.zeros((len(kept) + 1, 8), np.uint8)
    value = np.zeros_like(mask)
    for row, group in enumerate(kept):
        members = order[start[group] : start[group] + count[group]]
        if frames.timestamped and len(members) > 1:
            median = np.median(np.diff(t_us[members]))
            period[row] = np.clip(np.rint(median), 1, PERIOD_LIMIT - 1)
        if len(members) >= MIN_FRAMES:
            toggled = np.bitwise_or.reduce(data[members] ^ data[members[0]], axis=0)
            mask[row] = ~toggled
            value[row] = data[members[0]] & mask[row]
    return IdentifierTable(keys[kept].astype(np.uint32), period, mask, value)


def cross_fit(frames: Frames, folds: int) -> Iterator[tuple[NDArray[np.intp], IdentifierTable]]:
    """For each of `folds` stretches of equal time: the indices of its frames, and a table fitted
    on all the others.

    A network must be trained on features from such tables.  On features from a table that has seen
    the very frames, "a constant bit changed" never happens in normal traffic, the network learns
    that it proves an attack, and false alarms abound on new traffic.
    """
    begin, end = int(frames.t_us.min()), int(frames.t_us.max()) + 1
    fold = (frames.t_us - begin) * folds // (end - begin)
    for number in range(folds):
        yield np.flatnonzero(fold == number), fit_table(frames[fold != number])


def read_can_model(metadata: Mapping[str, str]) -> CanModel | None:
    """The detector described by a model file's metadata; `None` if it describes none."""
    text = metadata.get(METADATA_KEY)
    return None if text is None else CanModel.parse(text)


def _where(field: str) -> str:
    return f"{METADATA_KEY} {field}".strip()


def _require(holds: bool, what: str, field: str) -> None:
    if not holds:
        raise InputError(what, where=_where(field))


def _object(data: object, names: set[str], field: str) -> dict[str, Any]:
    """`data`, if it is an object with exactly the fields `names`."""
    if not isinstance(data, dict) or set(data) != names:
        what = f"is not an object with exactly the fields {', '.join(sorted(names))}"
        raise InputError(what, where=_where(field))
    return data


def _no_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a field given twice")
    return result


def _bytes(texts: Iterator[str]) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex("".join(texts)), np.uint8).reshape(-1, 8)
