"""Every text format on a few hand-written lines: values, labels, dirt, and the account of it."""

import gzip
import json
import lzma
from pathlib import Path

import numpy as np
import pytest

from edgetrain.can import report as met
from edgetrain.can.frames import UNLABELLED
from edgetrain.can.readers import FORMATS, Recording, read
from edgetrain.compiler.errors import InputError

DAGA = """timestamp,CAN_ID,DLC,PAYLOAD_HEX,PAYLOAD_BIN,ANOMALY
0.0,10,64,000000002FB031F8,0,FALSE
9e-06,1D0,8,0000000000000061,0,False
0.7200019999999999,290.0,64,0000000000000000,0,True
0.8,1,64,3C034300B917E0A,0,True,,
0.9,1F,16,1234,0,False
1.0,800,8,0102030405060708,0,
0.5,7ff,3,010203,0,TRUE
1.1,7ff,3,01020304,0,maybe
1.2,7ff,3,01020304
not a time,7ff,3,010203,0,False
1.3,xyz,3,010203,0,False
1.3,7ff,17,010203,0,False
1.3,7ff,3,0102zz,0,False
1.3,20000000,3,010203,0,False

nan,7ff,3,010203,0,False
"""


def read_text(tmp_path: Path, text: str, name: str) -> Recording:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    recording = read(path)
    counts = recording.report.counts
    no_frame = sum(n for what, n in counts.items() if what.startswith(("left out", "skipped")))
    assert recording.report.frames == len(recording.frames)
    assert recording.report.rows == recording.report.frames + no_frame
    assert set(recording.report.first_line) == set(counts)
    return recording


def test_daga(tmp_path: Path) -> None:
    recording = read_text(tmp_path, DAGA, "SingleIDReplay_ID_1.csv")
    frames, counts = recording.frames, recording.report.counts
    assert recording.report.format == "daga"
    assert frames.t_us.tolist() == [0, 9, 720002, 800000, 900000, 1000000, 500000, 1100000]
    assert frames.id.tolist() == [0x10, 0x1D0, 0x290, 1, 0x1F, 0x800, 0x7FF, 0x7FF]
    assert frames.extended.tolist() == [False] * 5 + [True, False, False]
    assert frames.dlc.tolist() == [8, 8, 8, 8, 2, 8, 3, 3]
    assert bytes(frames.data[3]).hex() == "03c034300b917e0a"
    assert bytes(frames.data[4]).hex() == "1234000000000000"
    assert bytes(frames.data[7]).hex() == "0102030000000000"
    assert frames.kinds == ("normal", "SingleIDReplay_ID_1")
    assert frames.kind.tolist() == [0, 0, 1, 1, 0, UNLABELLED, 1, UNLABELLED]
    assert counts == {
        met.DLC_IN_BITS: 4,
        met.FLOAT_ID: 1,
        met.TRAILING_COMMAS: 1,
        met.LOST_ZEROS: 1,
        met.SHORT: 3,
        met.EXTENDED: 1,
        met.UNLABELLED: 2,
        met.BACKWARDS: 1,
        met.BEYOND_DLC: 1,
        met.BAD_LABEL: 1,
        met.SKIPPED + "not 6 columns": 1,
        met.SKIPPED + "timestamp is not a number": 2,
        met.SKIPPED + "identifier is not hexadecimal": 1,
        met.SKIPPED + "DLC above 15": 1,
        met.SKIPPED + "payload is not hexadecimal": 1,
        met.SKIPPED + "identifier out of range": 1,
    }
    assert recording.report.first_line[met.FLOAT_ID] == 4
    assert recording.report.first_line[met.SKIPPED + "DLC above 15"] == 13


def test_report_reads_well(tmp_path: Path) -> None:
    lines = str(read_text(tmp_path, DAGA, "a.csv").report).splitlines()
    assert lines[0].endswith("a.csv: daga, 15 rows, 8 frames")
    assert "          1  skipped: DLC above 15 (first: line 13)" in lines


def test_hcrl(tmp_path: Path) -> None:
    text = (
        "1478198376.389427,0316,8,05,21,68,09,21,21,00,6f,R\n"
        "1478198376.409484,05f0,2,01,00,00,00,00,00,00,00,R\n"
        "1478198376.409485,05f0,2,01,ff,T,,,,,,\n"
        "1478198376.409486,05f0,2,1,0\n"
        "1478198376.409487,05f0,0,R\n"
        "1478198376.409488,05f0,0,Q\n"
        "1478198376.409489,05f0,8,00,R\n"
        "1478198376.409489,05f0,1,100,R\n"
        "1478198376.409489\n"
        "1478198376.409490,0000,9,00,01,02,03,04,05,06,07,T\n"
    )
    recording = read_text(tmp_path, text, "Fuzzy_dataset.csv")
    frames, counts = recording.frames, recording.report.counts
    assert recording.report.format == "hcrl"
    assert frames.t_us[0] == 1478198376389427
    assert frames.id.tolist() == [0x316, *[0x5F0] * 5, 0]
    assert frames.dlc.tolist() == [8, 2, 2, 2, 0, 0, 8]
    assert bytes(frames.data[2]).hex() == "01ff000000000000"
    assert frames.kinds == ("normal", "Fuzzy")
    assert frames.kind.tolist() == [0, 0, 1, UNLABELLED, 0, UNLABELLED, 1]
    assert frames.classes().tolist() == [0, 0, 2, UNLABELLED, 0, UNLABELLED, 2]
    assert counts[met.BEYOND_DLC] == counts[met.TRAILING_COMMAS] == counts[met.BAD_LABEL] == 1
    assert counts[met.DLC_ABOVE_8] == 1
    assert counts[met.SKIPPED + "fewer bytes than the DLC"] == 1
    assert counts[met.SKIPPED + "payload byte above 255"] == 1
    assert counts[met.SKIPPED + "fewer than 3 columns"] == 1


def test_ciciov(tmp_path: Path) -> None:
    text = (
        "ID,DATA_0,DATA_1,DATA_2,DATA_3,DATA_4,DATA_5,DATA_6,DATA_7,label,category,specific_class\n"
        "65,96,0,0,0,0,0,0,255,BENIGN,BENIGN,BENIGN\n"
        "291.0,0,0,0,0,0,0,0,7.0,ATTACK,DoS,DoS\n"
        "5000,1,2,3,4,5,6,7,8,ATTACK,SPOOFING,a; rm\n"
        "65,96,0,0,0,0,0,0,255\n"
        "65,96,0,0,0,0,0,0,256,BENIGN,BENIGN,BENIGN\n"
        "65,96,0,0,0,0,0,0,-1,BENIGN,BENIGN,BENIGN\n"
        "65,96\n"
    )
    recording = read_text(tmp_path, text, "x.csv")
    frames = recording.frames
    assert recording.report.format == "ciciov2024"
    assert not frames.timestamped
    assert not frames.t_us.any()
    assert frames.id.tolist() == [65, 291, 5000, 65]
    assert frames.extended.tolist() == [False, False, True, False]
    assert frames.data[1].tolist() == [0, 0, 0, 0, 0, 0, 0, 7]
    assert frames.kinds == ("normal", "DoS", "a_rm")
    assert frames.kind.tolist() == [0, 1, 2, UNLABELLED]
    assert recording.report.counts[met.FLOAT_ID] == 1
    assert recording.report.counts[met.SKIPPED + "payload byte above 255"] == 1
    assert recording.report.counts[met.SKIPPED + "payload byte is not a number"] == 1
    assert recording.report.counts[met.SKIPPED + "not 12 columns"] == 1


CANDUMP = """(1000.000000) can0 123#0011223344556677
(1000.000100) can0 123#
(1000.000200) can0 1F334455#1122 R
(1000.000300) can0 123#R
(1000.000400) can0 123#r8 T
(1000.000500) can0 20000080#0000000000000000
(1000.000600) can0 123##1000102030405060708090a0b
(1000.000700) vcan_0 FFF#AA
(1000.000800) can0 123#0011223344556677_9
(1000.000900) can0 123#001
(1000.001000) can0 123
(1000.00+100) can0 123#00
(1000.001200) can0 1_3#00
garbage
"""


def test_candump(tmp_path: Path) -> None:
    recording = read_text(tmp_path, CANDUMP, "drive.log")
    frames, counts = recording.frames, recording.report.counts
    assert recording.report.format == "candump"
    start = 1_000_000_000
    assert frames.t_us.tolist() == [start + us for us in (0, 100, 200, 600, 700, 800)]
    assert frames.id.tolist() == [0x123, 0x123, 0x1F334455, 0x123, 0xFFF, 0x123]
    assert frames.extended.tolist() == [False, False, True, False, True, False]
    assert frames.fd.tolist() == [False, False, False, True, False, False]
    assert frames.dlc.tolist() == [8, 0, 2, 8, 1, 8]
    assert frames.data[3].tolist() == list(range(8))
    assert set(frames.kind.tolist()) == {UNLABELLED}
    assert counts[met.REMOTE] == 2
    assert counts[met.ERROR] == counts[met.FD] == counts[met.WIDE] == 1
    assert counts[met.SKIPPED + "payload is not hexadecimal"] == 1
    assert counts[met.SKIPPED + "not of the form (time) interface ID#DATA"] == 2
    assert counts[met.SKIPPED + "timestamp is not a number"] == 1
    assert counts[met.SKIPPED + "identifier is not hexadecimal"] == 1


def road(tmp_path: Path, **entry: object) -> Recording:
    (tmp_path / "capture_metadata.json").write_text(json.dumps({"fuzzing_attack_1": entry}))
    text = (
        "(10.000000) can0 123#FFAA\n(11.000000) can0 123#FFAA\n(11.500000) can0 124#FFAA\n"
        "(12.000000) can0 123#FFBB\n(12.000000) can0 123#FF00AA\n(12.000001) can0 123#FFAA\n"
    )
    return read_text(tmp_path, text, "fuzzing_attack_1.log")


def test_road_labels(tmp_path: Path) -> None:
    interval = [1.0, 2.0]
    frames = road(
        tmp_path, injection_interval=interval, injection_id="0x123", injection_data_str="ffXX"
    ).frames
    assert frames.kinds == ("normal", "fuzzing_attack")
    assert frames.kind.tolist() == [0, 1, 0, 1, 0, 0]
    frames = road(
        tmp_path, injection_interval=interval, injection_id="XXX", injection_data_str="FFAA"
    ).frames
    assert frames.kind.tolist() == [0, 1, 1, 0, 0, 0]
    # No frame was injected into ROAD's accelerator attacks: nothing says which are part of them.
    frames = road(
        tmp_path, injection_interval=None, injection_id=None, injection_data_str=None
    ).frames
    assert set(frames.kind.tolist()) == {UNLABELLED}


def test_road_metadata_at_fault(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"capture_metadata.json, fuzzing_attack_1"):
        road(tmp_path, injection_interval=[1], injection_id="XXX", injection_data_str="")
    with pytest.raises(InputError, match="as ROAD writes them"):
        road(tmp_path, injection_interval=[1, 2], injection_id="XXX", injection_data_str="(.*)*")
    with pytest.raises(InputError, match="as ROAD writes them"):
        road(tmp_path)
    (tmp_path / "capture_metadata.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="not a JSON object"):
        read(tmp_path / "fuzzing_attack_1.log")
    (tmp_path / "capture_metadata.json").write_text("{}")
    assert len(read(tmp_path / "fuzzing_attack_1.log").frames) == 6


def test_python_can_csv_without_python_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "can", None)
    text = (
        "timestamp,arbitration_id,extended,remote,error,dlc,data\n"
        "1.5,0x123,0,0,0,2,AQI=\n"
        "1.6,0x123,1,0,0,0,\n"
        "1.7,0x123,0,1,0,0,\n"
        "1.8,0x123,0,0,1,0,\n"
        "1.9,0x123,0,0,0,2,A!\n"
    )
    recording = read_text(tmp_path, text, "x.csv")
    assert recording.frames.data[0].tolist() == [1, 2, 0, 0, 0, 0, 0, 0]
    assert recording.frames.extended.tolist() == [False, True]
    assert recording.report.counts[met.REMOTE] == recording.report.counts[met.ERROR] == 1
    assert recording.report.counts[met.SKIPPED + "payload is not base64"] == 1


def test_compressed_whatever_the_name_says(tmp_path: Path) -> None:
    plain = read_text(tmp_path, CANDUMP, "plain.log").frames
    for name, content in {
        "a.log.gz": gzip.compress(CANDUMP.encode()),
        "b.log.xz": lzma.compress(CANDUMP.encode()),
        "c.log": gzip.compress(CANDUMP.encode()),
        "d.csv": b"\xef\xbb\xbf" + CANDUMP.replace("\n", "\r\n").encode(),
    }.items():
        (tmp_path / name).write_bytes(content)
        assert read(tmp_path / name).frames.equals(plain), name


@pytest.mark.parametrize("compression", ["gz", "xz"])
def test_cut_off_compression_gives_what_is_there(tmp_path: Path, compression: str) -> None:
    rng = np.random.default_rng(0)
    rows = "".join(f"({i}.000000) can0 123#{rng.bytes(8).hex()}\n" for i in range(50_000)).encode()
    content = gzip.compress(rows, 1) if compression == "gz" else lzma.compress(rows, preset=0)
    path = tmp_path / "cut.log"
    path.write_bytes(content[: len(content) * 3 // 4])
    recording = read(path)
    assert recording.report.counts[met.DAMAGED] == 1
    assert 0 < len(recording.frames) < 50_000


def test_endless_line(tmp_path: Path) -> None:
    path = tmp_path / "bomb.log.gz"
    first = b"(1.000000) can0 001#00\n"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(first)
        for _ in range(32):
            file.write(bytes(1 << 20))
        file.write(b"\n" + first)
    recording = read(path)
    assert len(recording.frames) == 2
    assert recording.report.rows == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no readable data"),
        (b"\n\n", "no recording of a known format"),
        (b"a,b,c\n1,2,3\n", "no recording of a known format"),
        (bytes(range(256)), "no recording of a known format"),
        (b"(1.0) can0 123#R\n", "no readable data frame .1 left out: remote frames."),
        (DAGA.splitlines()[0].encode(), "no readable data frame .no rows."),
        (b"\x1f\x8b\x08\x00", "holds no readable data"),
        (b"LOGG", "ends within the BLF header"),
        (b"base hex  timestamps relative\n0.1 1 123 Rx d 1 00\n", "relative to the line before"),
        (b";$FILEVERSION=1.1\n;$STARTTIME=x\n 1) 1 Rx 0001 1 00\n", "damaged header"),
    ],
)
def test_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        read(path)
    assert "\n" not in str(error.value)


def test_paths_and_format_names_at_fault(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "absent.log")
    with pytest.raises(InputError, match="directory"):
        read(tmp_path)
    with pytest.raises(InputError, match="formats: edgetrain, candump"):
        read(tmp_path / "absent.log", format="word")


def test_every_format_and_count_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "can.md").read_text()
    for name in FORMATS:
        assert f"`{name}`" in text
    for name, what in vars(met).items():
        if name.isupper():
            assert f"| {what.strip()}" in text, what
