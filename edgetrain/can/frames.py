"""Recorded CAN frames as a structure of arrays: what every reader yields and the rest consumes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgetrain.can.kinds import CLASSES, NORMAL, class_of_kind
from edgetrain.compiler.errors import InputError

UNLABELLED = -1
_COLUMNS = {
    "t_us": np.int64,
    "id": np.uint32,
    "extended": np.bool_,
    "fd": np.bool_,
    "dlc": np.uint8,
    "data": np.uint8,
    "kind": np.int16,
}


@dataclass(frozen=True, eq=False)
class Frames:
    """`n` data frames in the order in which they were recorded.

    `t_us` are microseconds, as recorded (relative or since 1970); all zero unless `timestamped`.
    `dlc` is the number of payload bytes kept (0 to 8; of a CAN FD frame, marked in `fd`, the first
    8), `data` is (n, 8), zero after them.  `kind` indexes `kinds`, UNLABELLED where nothing is
    known; `kinds[0]` is "normal".
    """

    t_us: npt.NDArray[np.int64]
    timestamped: bool
    id: npt.NDArray[np.uint32]
    extended: npt.NDArray[np.bool_]
    fd: npt.NDArray[np.bool_]
    dlc: npt.NDArray[np.uint8]
    data: npt.NDArray[np.uint8]
    kind: npt.NDArray[np.int16]
    kinds: tuple[str, ...] = (NORMAL,)

    def __post_init__(self) -> None:
        for name, dtype in _COLUMNS.items():
            column = getattr(self, name)
            shape = (len(self.t_us), 8) if name == "data" else (len(self.t_us),)
            if column.dtype != dtype or column.shape != shape:
                raise ValueError(f"{name}: {column.dtype}{column.shape}, not {dtype}{shape}")
        if np.any(self.id > np.where(self.extended, np.uint32(0x1FFFFFFF), np.uint32(0x7FF))):
            raise ValueError("an identifier is out of range")
        if np.any(self.dlc > 8) or np.any(
            (self.kind < UNLABELLED) | (self.kind >= len(self.kinds))
        ):
            raise ValueError("a dlc is above 8 or a kind has no name")
        if self.kinds[:1] != (NORMAL,) or len(set(self.kinds)) != len(self.kinds):
            raise ValueError(f"kinds must start with 'normal' and not repeat: {self.kinds}")

    def __len__(self) -> int:
        return len(self.t_us)

    def __getitem__(self, which: slice | npt.NDArray[Any]) -> "Frames":
        """The frames that a slice, a boolean mask or an array of indices selects."""
        columns = {name: getattr(self, name)[which] for name in _COLUMNS}
        return Frames(timestamped=self.timestamped, kinds=self.kinds, **columns)

    @property
    def seconds(self) -> float | None:
        """Time from the first frame to the last; None without timestamps."""
        if not self.timestamped:
            return None
        return (int(self.t_us[-1]) - int(self.t_us[0])) / 1e6 if len(self) else 0.0

    def between(self, start_s: float = 0.0, end_s: float = math.inf) -> "Frames":
        """Frames with start_s ≤ t < end_s, t in seconds since this object's first frame."""
        if not self.timestamped:
            raise InputError(
                "the frames carry no timestamps, so no time range can be cut out of them"
            )
        if not len(self):
            return self
        since = self.t_us - self.t_us[0]
        return self[(since >= start_s * 1e6) & (since < end_s * 1e6)]

    def of_kind(self, kind: str) -> npt.NDArray[np.bool_]:
        """Mask of the frames of one kind; all false for a kind that does not occur."""
        if kind not in self.kinds:
            return np.zeros(len(self), np.bool_)
        return np.equal(self.kind, self.kinds.index(kind))

    def classes(self) -> npt.NDArray[np.int16]:
        """Index into CLASSES per frame, UNLABELLED where there is no label."""
        used = set(np.unique(self.kind).tolist())
        table = [
            CLASSES.index(class_of_kind(kind)) if index in used else UNLABELLED
            for index, kind in enumerate(self.kinds)
        ]
        # The last entry is what UNLABELLED, index −1, finds.
        return np.array([*table, UNLABELLED], np.int16)[self.kind]

    def equals(self, other: "Frames") -> bool:
        """Same frames in the same order; kinds are compared by name."""
        mine, theirs = (np.array([*frames.kinds, ""])[frames.kind] for frames in (self, other))
        return (
            self.timestamped == other.timestamped
            and np.array_equal(mine, theirs)
            and all(
                np.array_equal(getattr(self, name), getattr(other, name))
                for name in _COLUMNS
                if name != "kind"
            )
        )


def concatenate(parts: Sequence[Frames]) -> Frames:
    """All frames, part after part; kinds of the same name become one."""
    if len({part.timestamped for part in parts}) > 1:
        raise InputError("frames with and without timestamps cannot be joined")
    kinds = tuple(dict.fromkeys([NORMAL, *(kind for part in parts for kind in part.kinds)]))
    renumbered = [
        np.array([*map(kinds.index, part.kinds), UNLABELLED], np.int16)[part.kind] for part in parts
    ]
    columns = {
        name: np.concatenate(
            [getattr(part, name) for part in parts] or [np.zeros((0, 8), dtype)[:, 0]]
        )
        for name, dtype in _COLUMNS.items()
        if name != "kind"
    }
    return Frames(
        timestamped=all(part.timestamped for part in parts),
        kind=np.concatenate(renumbered),
        kinds=kinds,
        **columns,
    )


def sorted_by_time(frames: Frames) -> Frames:
    """Stable: frames of equal time keep their order."""
    return frames[np.argsort(frames.t_us, kind="stable")]
