"""The real recordings, against the row and attack counts that were published with them."""

from pathlib import Path

import numpy as np
import pytest

from edgetrain.can import report as met
from edgetrain.can.kinds import CLASSES
from edgetrain.can.readers import read

VOLVO = {
    "ArbitrarySequenceReplay_n_10": (165414, 5400, "spoofing"),
    "DenialOfService_lowestID": (165868, 9000, "dos"),
    "MessageIDFuzzing": (160114, 100, "fuzzing"),
    "OrderedSequenceReplay_n_10": (165414, 5400, "spoofing"),
    "PayloadFuzzing_ID_145": (160214, 200, "fuzzing"),
    "PayloadFuzzing_ID_1": (160414, 400, "fuzzing"),
    "PayloadFuzzing_ID_2C5": (160314, 300, "fuzzing"),
    "PayloadFuzzing_ID_8": (160114, 100, "fuzzing"),
    "SingleIDReplay_ID_145": (160214, 200, "spoofing"),
    "SingleIDReplay_ID_1": (160414, 400, "spoofing"),
    "SingleIDReplay_ID_2C5": (160314, 300, "spoofing"),
    "SingleIDReplay_ID_8": (160114, 100, "spoofing"),
    "clean": (160014, 0, "normal"),
}
FORD = {
    "decimal_DoS": (44797, "DoS", 1),
    "decimal_spoofing-GAS": (5994, "GAS", 3),
    "decimal_spoofing-RPM": (32940, "RPM", 3),
    "decimal_spoofing-SPEED": (14970, "SPEED", 3),
    "decimal_spoofing-STEERING_WHEEL": (11986, "STEERING_WHEEL", 3),
}


@pytest.mark.parametrize("name", VOLVO)
def test_volvo(data_dir: Path, name: str) -> None:
    rows, attacks, class_name = VOLVO[name]
    recording = read(data_dir / "can/volvo-v40-daga" / f"{name}.csv.xz")
    frames = recording.frames
    assert recording.report.format == "daga"
    assert len(frames) == recording.report.rows == recording.report.frames == rows
    assert frames.timestamped
    assert 99.9 < (frames.seconds or 0) < 100
    assert np.all(np.diff(frames.t_us) >= 0)
    assert np.all(frames.dlc == 8)
    assert int((frames.kind > 0).sum()) == attacks
    if attacks:
        assert int(frames.of_kind(name).sum()) == attacks
        assert set(frames.classes().tolist()) == {0, CLASSES.index(class_name)}
    assert recording.report.counts[met.DLC_IN_BITS] == rows


def test_volvo_dirt_is_repaired_and_counted(data_dir: Path) -> None:
    folder = data_dir / "can/volvo-v40-daga"
    floats = read(folder / "OrderedSequenceReplay_n_10.csv.xz")
    assert floats.report.counts[met.FLOAT_ID] == 200
    assert floats.report.first_line[met.FLOAT_ID] == 1220
    # Line 1221 holds "290.0", which is 290 hexadecimal; line 2 is the first frame.
    assert floats.frames.id[1221 - 2] == 0x290
    short = read(folder / "SingleIDReplay_ID_1.csv.xz")
    assert short.report.counts[met.LOST_ZEROS] == 100
    assert not short.frames.data[short.report.first_line[met.LOST_ZEROS] - 2].any()


@pytest.mark.parametrize("name", FORD)
def test_ford_attacks(data_dir: Path, name: str) -> None:
    rows, kind, class_index = FORD[name]
    frames = read(data_dir / "can/ford-ciciov2024" / f"{name}.csv.xz").frames
    assert len(frames) == rows
    assert not frames.timestamped
    assert frames.seconds is None
    assert int(frames.of_kind(kind).sum()) == rows
    assert set(frames.classes().tolist()) == {class_index}


def test_ford_benign(data_dir: Path) -> None:
    frames = read(data_dir / "can/ford-ciciov2024/decimal_benign.csv.xz").frames
    assert len(frames) == 734242
    assert not frames.kind.any()
    assert frames.id[1] == 1068
    assert frames.data[1].tolist() == [132, 13, 160, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("name", "rows", "identifier", "payload", "start_us", "end_us", "class_index"),
    [
        ("fuzzing_attack_1", 49342, None, "ffffffffffffffff", 4622975, 7958234, 2),
        ("correlated_signal_attack_1", 81262, 0x6E0, "595945450000ffff", 9191851, 30050109, 3),
    ],
)
def test_road(
    data_dir: Path,
    name: str,
    rows: int,
    identifier: int | None,
    payload: str,
    start_us: int,
    end_us: int,
    class_index: int,
) -> None:
    recording = read(data_dir / "can/road" / f"{name}.log.xz")
    frames = recording.frames
    assert recording.report.format == "candump"
    assert len(frames) == rows
    since = frames.t_us - frames.t_us[0]
    expected = (
        (since >= start_us)
        & (since <= end_us)
        & np.all(frames.data == np.frombuffer(bytes.fromhex(payload), np.uint8), axis=1)
        & ((frames.id == identifier) if identifier else True)
    )
    assert expected.sum() > 500
    assert np.array_equal(frames.classes() == class_index, expected)
    assert np.array_equal(frames.kind == 0, ~expected)


def test_hcrl(data_dir: Path) -> None:
    folder = data_dir / "can/hcrl-car-hacking"
    attack = read(folder / "DoS_dataset.head.csv.xz")
    assert len(attack.frames) == 3300
    assert int(attack.frames.of_kind("DoS").sum()) == 964
    assert attack.report.counts[met.BEYOND_DLC] == 22
    assert sorted(set(attack.frames.dlc.tolist())) == [2, 8]
    assert attack.frames.t_us[0] == 1478198376389427
    clean = read(folder / "normal_run_data.head.csv.xz").frames
    assert len(clean) == 3000
    assert not clean.kind.any()
