"""Whatever bytes a file holds, reading it gives a recording or an InputError."""

import io
import tempfile
from pathlib import Path

import can
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetrain.can.readers import FORMATS, read
from edgetrain.can.synthetic import synthetic_bus
from edgetrain.can.writer import write_csv
from edgetrain.compiler.errors import InputError
from tests.can.test_text_formats import CANDUMP, DAGA

QUICK = settings(max_examples=100, deadline=None, derandomize=True)


def attempt(content: bytes, format: str | None = None) -> None:
    """Read; the rows must add up."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.log"
        path.write_bytes(content)
        try:
            recording = read(path, format)
        except InputError:
            return
    counts = recording.report.counts
    no_frame = sum(n for what, n in counts.items() if what.startswith(("left out", "skipped")))
    assert recording.report.rows == len(recording.frames) + no_frame
    assert len(recording.frames) > 0


def python_can_bytes(suffix: str) -> bytes:
    messages = [
        can.Message(timestamp=i / 10, arbitration_id=i, is_extended_id=i % 2 > 0, data=bytes(i))
        for i in range(9)
    ]
    if suffix != "trc":
        messages.append(can.Message(timestamp=9, arbitration_id=9, is_fd=True, data=bytes(64)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x.{suffix}"
        with can.Logger(path) as writer:
            for message in messages:
                writer.on_message_received(message)
        return path.read_bytes()


def uncompressed_blf() -> bytes:
    buffer = io.BytesIO()
    buffer.close = lambda: None  # type: ignore[method-assign]  # the writer closes it too early
    writer = can.BLFWriter(buffer, compression_level=0)
    for i in range(9):
        writer.on_message_received(can.Message(timestamp=i, arbitration_id=i, data=bytes(i)))
    writer.stop()
    return buffer.getvalue()


def labelled_csv() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_csv(synthetic_bus(0.05), Path(folder) / "x.csv")
        return (Path(folder) / "x.csv").read_bytes()


HCRL = b"".join(b"1.0000%02d,05f0,2,01,ff,T\n" % i for i in range(20))
CICIOV = (
    b"ID,DATA_0,DATA_1,DATA_2,DATA_3,DATA_4,DATA_5,DATA_6,DATA_7,label,category,specific_class\n"
    + b"65,96,0,0,0,0,0,0,255,ATTACK,DoS,DoS\n" * 20
)
SAMPLES = {
    "edgetrain": labelled_csv(),
    "candump": CANDUMP.encode(),
    "daga": DAGA.encode(),
    "hcrl": HCRL,
    "ciciov2024": CICIOV,
    "python-can-csv": python_can_bytes("csv"),
    "asc": python_can_bytes("asc"),
    "blf": uncompressed_blf(),
    "trc": python_can_bytes("trc"),
}


def test_a_sample_of_every_format() -> None:
    assert set(SAMPLES) == set(FORMATS)
    for name, content in SAMPLES.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x"
            path.write_bytes(content)
            assert read(path).report.format == name


@pytest.mark.parametrize("format", [None, *FORMATS])
@QUICK
@given(content=st.binary(max_size=300))
def test_any_bytes(format: str | None, content: bytes) -> None:
    attempt(content, format)


@pytest.mark.parametrize("format", FORMATS)
@QUICK
@given(
    edits=st.lists(
        st.tuples(
            st.floats(0, 1, exclude_max=True),
            st.integers(0, 8),
            st.one_of(
                st.binary(max_size=8),
                st.sampled_from([b"nan", b"1e400", b"-1", b",", b"\n", b"9" * 400, b"_", b"\x00"]),
            ),
        ),
        min_size=1,
        max_size=4,
    ),
    forced=st.booleans(),
)
def test_mangled_recordings(
    format: str, edits: list[tuple[float, int, bytes]], forced: bool
) -> None:
    content = SAMPLES[format]
    for place, removed, inserted in edits:
        at = int(place * len(content))
        content = content[:at] + inserted + content[at + removed :]
    attempt(content, format if forced else None)
