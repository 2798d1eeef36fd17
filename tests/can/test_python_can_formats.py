"""ASC, BLF, TRC, CSV and candump as python-can writes them."""

from pathlib import Path

import can
import numpy as np
import pytest

from edgetrain.can import report as met
from edgetrain.can.readers import read
from edgetrain.compiler.errors import InputError

START = 1_700_000_000.0
DATA = [
    can.Message(timestamp=START, arbitration_id=0x7FF, is_extended_id=False, data=range(8)),
    can.Message(timestamp=START + 0.25, arbitration_id=0x10, is_extended_id=False, data=b"\x01"),
    can.Message(timestamp=START + 0.5, arbitration_id=0x12345678, data=b"\xff\x00\xaa"),
    can.Message(timestamp=START + 1, arbitration_id=0x10, is_extended_id=False, data=b""),
]
FD = can.Message(timestamp=START + 2, arbitration_id=0x10, is_fd=True, data=range(64))
REMOTE = can.Message(timestamp=START + 3, arbitration_id=0x10, is_remote_frame=True, dlc=4)
ERROR = can.Message(timestamp=START + 4, is_error_frame=True)
LAST = can.Message(timestamp=START + 5, arbitration_id=1, is_extended_id=False, data=b"\x07" * 8)


def write(path: Path, messages: list[can.Message]) -> Path:
    with can.Logger(path) as writer:
        for message in messages:
            writer.on_message_received(message)
    return path


@pytest.mark.parametrize("suffix", ["asc", "blf", "trc", "csv", "log", "asc.gz"])
def test_data_frames(tmp_path: Path, suffix: str) -> None:
    recording = read(write(tmp_path / f"x.{suffix}", DATA))
    frames = recording.frames
    assert frames.timestamped
    assert (frames.t_us - frames.t_us[0]).tolist() == [0, 250_000, 500_000, 1_000_000]
    assert frames.id.tolist() == [0x7FF, 0x10, 0x12345678, 0x10]
    assert frames.extended.tolist() == [False, False, True, False]
    assert frames.dlc.tolist() == [8, 1, 3, 0]
    assert frames.data.tolist() == [
        list(range(8)),
        [1, *[0] * 7],
        [0xFF, 0, 0xAA, *[0] * 5],
        [0] * 8,
    ]
    assert not frames.fd.any()
    assert recording.report.counts[met.UNLABELLED] == 4


@pytest.mark.parametrize("suffix", ["asc", "blf", "csv", "log"])
def test_remote_and_error_frames_are_left_out(tmp_path: Path, suffix: str) -> None:
    recording = read(write(tmp_path / f"x.{suffix}", [*DATA, REMOTE, ERROR, LAST]))
    assert recording.frames.data[-1].tolist() == [7] * 8
    assert len(recording.frames) == 5
    assert recording.report.counts[met.REMOTE] == 1
    assert recording.report.counts[met.ERROR] == 1


@pytest.mark.parametrize("suffix", ["asc", "blf", "log"])
def test_can_fd_keeps_its_first_8_bytes(tmp_path: Path, suffix: str) -> None:
    recording = read(write(tmp_path / f"x.{suffix}", [*DATA, FD, LAST]))
    assert recording.frames.fd.tolist() == [False] * 4 + [True, False]
    assert recording.frames.dlc[4] == 8
    assert recording.frames.data[4].tolist() == list(range(8))
    assert recording.report.counts[met.FD] == recording.report.counts[met.LONG] == 1


def test_asc_goes_on_after_damaged_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.asc"
    path.write_text(
        "date Mon Nov 20 10:00:00 2023\n"
        "base dec  timestamps absolute\n"
        "   0.100000 1  16  Rx   d 2 255 10\n"
        "   0.200000 1  zz  Rx   d 2 255 10\n"
        "   0.300000 1  17  Rx   d 1 300\n"
        "   0.350000 1  17  Rx   d 2 1\n"
        "// a comment\n"
        "   0.400000 1  Statistic: D 0\n"
        "   0.500000 1  123x  Rx   d 1 10\n"
    )
    recording = read(path)
    assert recording.frames.id.tolist() == [16, 123]
    assert recording.frames.data[0].tolist()[:2] == [255, 10]
    assert recording.frames.t_us.tolist() == [100_000, 500_000]
    counts, first_line = recording.report.counts, recording.report.first_line
    assert counts[met.SKIPPED + "not understood by python-can"] == 2
    assert first_line[met.SKIPPED + "not understood by python-can"] == 4
    assert counts[met.SKIPPED + "fewer bytes than the DLC"] == 1
    assert counts[met.NO_FRAME] == 1
    assert first_line[met.NO_FRAME] == 8
    assert recording.report.rows == 6


def test_trc_1_1(tmp_path: Path) -> None:
    path = tmp_path / "x.trc"
    path.write_text(
        ";$FILEVERSION=1.1\n;$STARTTIME=45000.5\n;\n"
        "     1)      1059.9  Rx         0300  7  00 00 00 00 04 00 00\n"
        "     2)      1060.9  Rx         0300  7  00 00\n"
        "     3)      1061.9  Rx         xx    1  00\n"
        "     4)      1062.9  Error      0300  4  00 00 00 00\n"
        "     5)      1063.9  Tx         00000300  0\n"
    )
    recording = read(path)
    assert recording.frames.t_us[1] - recording.frames.t_us[0] == 4000
    assert recording.frames.extended.tolist() == [False, True]
    assert recording.frames.dlc.tolist() == [7, 0]
    assert recording.report.rows == 5
    assert recording.report.counts[met.NO_FRAME] == 2
    assert recording.report.counts[met.SKIPPED + "not understood by python-can"] == 1


def damage_objects(content: bytes, patch: bytes, at: int) -> bytes:
    """A BLF whose objects are stored uncompressed, with the third frame's header patched."""
    position = -1
    for _ in range(4):
        position = content.index(b"LOBJ", position + 1)
    return content[: position + at] + patch + content[position + at + len(patch) :]


@pytest.mark.parametrize(
    ("patch", "at"),
    [(b"\0\0\0\0", 8), (b"\x14\0\0\0", 8), (b"\xff\xff\xff\xff", 8), (b"XXXX", 0), (b"\x09", 6)],
)
def test_blf_goes_on_after_a_damaged_object(tmp_path: Path, patch: bytes, at: int) -> None:
    path = tmp_path / "x.blf"
    with can.BLFWriter(path, compression_level=0) as writer:
        for message in [*DATA, LAST]:
            writer.on_message_received(message)
    content = bytearray(path.read_bytes())
    path.write_bytes(damage_objects(bytes(content), patch, at))
    recording = read(path)
    assert np.array_equal(recording.frames.dlc, [8, 1, 0, 8])
    skipped = sum(n for what, n in recording.report.counts.items() if what.startswith("skipped"))
    assert skipped >= 1
    assert recording.report.rows == len(recording.frames) + skipped


def test_blf_cut_off(tmp_path: Path) -> None:
    path = write(tmp_path / "x.blf", [LAST] * 10_000)
    path.write_bytes(path.read_bytes()[:-100])
    recording = read(path)
    assert 0 < len(recording.frames) < 10_000
    assert recording.report.counts[met.DAMAGED] == 1


@pytest.mark.parametrize("suffix", ["asc", "blf", "trc"])
def test_without_python_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    path = write(tmp_path / f"x.{suffix}", DATA)
    monkeypatch.setitem(__import__("sys").modules, "can", None)
    with pytest.raises(InputError, match=r"pip install 'edgetrain\[can\]'"):
        read(path)
