"""What a reader met in a recording: every repair, every frame left out, every row skipped."""

from dataclasses import dataclass, field
from typing import Final

# Frames kept, with a treatment.
EXTENDED: Final = "29-bit identifiers"
WIDE: Final = "identifiers above 7FF in a standard frame, read as 29-bit"
FD: Final = "CAN FD frames"
LONG: Final = "payloads cut to 8 bytes"
SHORT: Final = "payloads shorter than 8 bytes"
UNLABELLED: Final = "frames without a label"
BAD_LABEL: Final = "labels not understood"
BACKWARDS: Final = "timestamps going backwards"
FLOAT_ID: Final = "identifiers written as floats"
LOST_ZEROS: Final = "payloads with lost leading zeros"
DLC_IN_BITS: Final = "DLCs given in bits"
DLC_ABOVE_8: Final = "DLCs above 8, read as 8"
BEYOND_DLC: Final = "rows with bytes beyond the DLC"
TRAILING_COMMAS: Final = "rows with trailing commas"
# Rows that became no frame.
REMOTE: Final = "left out: remote frames"
ERROR: Final = "left out: error frames"
NO_FRAME: Final = "left out: lines without a frame"
SKIPPED: Final = "skipped: "
# The recording as a whole.
BAD_CONTAINER: Final = "damaged: containers that do not decompress"
DAMAGED: Final = "damaged: the recording ends early"


@dataclass
class Report:
    """Counts of one reading.

    `rows` is what the recording holds (without header lines, comments and blank lines), `frames`
    what became of it: `rows == frames + ` the counts that start with "left out" or "skipped".
    `counts` has the number of rows for each thing met, `first_line` the line (of a binary
    recording: the object) where it was met first, from 1.
    """

    path: str
    format: str
    rows: int = 0
    frames: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    first_line: dict[str, int] = field(default_factory=dict)

    def count(self, what: str, line: int) -> None:
        """Note one occurrence of `what`."""
        if what in self.counts:
            self.counts[what] += 1
        else:
            self.counts[what] = 1
            self.first_line[what] = line

    def __str__(self) -> str:
        head = f"{self.path}: {self.format}, {self.rows:,} rows, {self.frames:,} frames"
        notes = [
            f"  {count:>9,}  {what} (first: line {self.first_line[what]})"
            for what, count in sorted(self.counts.items())
        ]
        return "\n".join([head, *notes])
