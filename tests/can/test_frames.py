"""Frames, kinds, the writer's round trip and the synthetic bus."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetrain.can.frames import UNLABELLED, Frames, concatenate, sorted_by_time
from edgetrain.can.inject import KINDS
from edgetrain.can.kinds import CLASSES, class_of_kind
from edgetrain.can.readers import read
from edgetrain.can.synthetic import synthetic_bus
from edgetrain.can.writer import write_csv
from edgetrain.compiler.errors import InputError

ROW = st.tuples(
    st.integers(-(10**15), 10**15),
    st.integers(0, 0x1FFFFFFF),
    st.booleans(),
    st.binary(max_size=8),
    st.integers(-1, 2),
)


def make(rows: list[tuple[int, int, bool, bytes, int]], timestamped: bool = True) -> Frames:
    n = len(rows)
    extended = [wide or identifier > 0x7FF for _, identifier, wide, _, _ in rows]
    payloads = b"".join(payload.ljust(8, b"\0") for *_, payload, _ in rows)
    return Frames(
        t_us=np.array([t if timestamped else 0 for t, *_ in rows], np.int64),
        timestamped=timestamped,
        id=np.array([identifier for _, identifier, *_ in rows], np.uint32),
        extended=np.array(extended, np.bool_),
        fd=np.array([identifier % 3 == 0 for _, identifier, *_ in rows], np.bool_),
        dlc=np.array([len(payload) for *_, payload, _ in rows], np.uint8),
        data=np.frombuffer(payloads, np.uint8).reshape(n, 8),
        kind=np.array([kind for *_, kind in rows], np.int16),
        kinds=("normal", "DoS", "replay"),
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROW, min_size=1, max_size=20), timestamped=st.booleans())
def test_written_frames_read_back_equal(
    tmp_path: Path, rows: list[tuple[int, int, bool, bytes, int]], timestamped: bool
) -> None:
    frames = make(rows, timestamped)
    write_csv(frames, tmp_path / "x.csv")
    assert read(tmp_path / "x.csv").frames.equals(frames)


def test_writing_is_whole_or_not_at_all(tmp_path: Path) -> None:
    frames = synthetic_bus(0.1)
    with pytest.raises(InputError, match="cannot be written"):
        write_csv(frames, tmp_path / "absent" / "x.csv")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_csv(frames, tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_between_counts_from_the_first_frame() -> None:
    times = [5_000_000, 5_999_999, 6_000_000, 7_000_000]
    frames = make([(t, 1, False, b"", 0) for t in times])
    assert frames.between(1, 2).t_us.tolist() == [6_000_000]
    assert frames.between(end_s=1).t_us.tolist() == times[:2]
    assert frames.between().equals(frames)
    assert len(frames[:0].between(1, 2)) == 0
    assert frames.seconds == 2.0
    with pytest.raises(InputError, match="no timestamps"):
        make([(0, 1, False, b"", 0)], timestamped=False).between(0, 1)


def test_concatenate_merges_kinds_by_name() -> None:
    one = make([(1, 1, False, b"", 0), (2, 1, False, b"", 2), (3, 1, False, b"", UNLABELLED)])
    other = Frames(**{**vars(one), "kinds": ("normal", "burst", "DoS")})
    both = concatenate([one, other])
    assert both.kinds == ("normal", "DoS", "replay", "burst")
    assert both.kind.tolist() == [0, 2, UNLABELLED, 0, 1, UNLABELLED]
    assert both.classes().tolist() == [0, 3, UNLABELLED, 0, 1, UNLABELLED]
    assert both[:3].equals(one)
    assert not both[:3].equals(other)
    assert sorted_by_time(both).t_us.tolist() == [1, 1, 2, 2, 3, 3]
    assert sorted_by_time(both).kind.tolist() == [0, 0, 2, 1, UNLABELLED, UNLABELLED]
    with pytest.raises(InputError, match="with and without timestamps"):
        concatenate([one, make([(0, 1, False, b"", 0)], timestamped=False)])


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("t_us", np.zeros(2, np.int32)),
        ("data", np.zeros((2, 7), np.uint8)),
        ("dlc", np.array([9, 0], np.uint8)),
        ("id", np.array([0x800, 0], np.uint32)),
        ("kind", np.array([3, 0], np.int16)),
        ("kinds", ("dos", "normal", "x")),
    ],
)
def test_frames_refuse_what_breaks_their_contract(column: str, value: object) -> None:
    frames = make([(0, 1, False, b"", 0), (0, 1, False, b"", 0)])
    with pytest.raises(ValueError, match=r"."):
        Frames(**{**vars(frames), column: value})


@pytest.mark.parametrize(
    ("kind", "class_name"),
    [
        ("normal", "normal"),
        ("DenialOfService_lowestID", "dos"),
        ("DoS", "dos"),
        ("Flooding", "dos"),
        ("MessageIDFuzzing", "fuzzing"),
        ("PayloadFuzzing_ID_2C5", "fuzzing"),
        ("Fuzzy", "fuzzing"),
        ("fuzzing_attack", "fuzzing"),
        ("OrderedSequenceReplay_n_10", "spoofing"),
        ("gear", "spoofing"),
        ("RPM", "spoofing"),
        ("GAS", "spoofing"),
        ("STEERING_WHEEL", "spoofing"),
        ("correlated_signal_attack", "spoofing"),
        ("max_engine_coolant_temp_attack_masquerade", "spoofing"),
        ("reverse_light_on_attack", "spoofing"),
    ],
)
def test_published_kinds(kind: str, class_name: str) -> None:
    assert class_of_kind(kind) == class_name


def test_injected_kinds_have_classes_and_others_are_refused() -> None:
    assert {kind: class_of_kind(kind) for kind in KINDS} == {
        "dos": "dos",
        "fuzz": "fuzzing",
        "byte-fuzz": "fuzzing",
        "unknown": "fuzzing",
        "replay": "spoofing",
        "burst": "spoofing",
    }
    assert set(map(class_of_kind, KINDS)) == set(CLASSES[1:])
    with pytest.raises(InputError, match="no known class"):
        class_of_kind("weather")


def test_synthetic_bus() -> None:
    bus = synthetic_bus(30, seed=7)
    assert bus.equals(synthetic_bus(30, seed=7))
    assert not bus.equals(synthetic_bus(30, seed=8))
    assert 29 < (bus.seconds or 0) < 31
    assert 300 < len(bus) / 30 < 600
    assert np.diff(bus.t_us).min() >= 230
    assert len(set(bus.id.tolist())) == 19
    assert not bus.kind.any()
    for identifier in set(bus.id.tolist()):
        own = bus[bus.id == identifier]
        last = int(own.dlc[0]) - 1
        checksum = np.bitwise_xor.reduce(np.delete(own.data, last, axis=1), axis=1)
        assert np.array_equal(own.data[:, last], checksum ^ (identifier & 0xFF))
        assert np.array_equal(own.data[:, last - 1], np.arange(len(own)) & 0xF)
        assert not own.data[:, last + 1 :].any()
    fastest = min(np.median(np.diff(bus.t_us[bus.id == i])) for i in set(bus.id.tolist()))
    assert 9_500 < fastest < 10_500
    for seconds in (0, -1, float("nan"), 1e9):
        with pytest.raises(InputError, match="synthetic traffic"):
            synthetic_bus(seconds)
    with pytest.raises(InputError, match="seed is negative"):
        synthetic_bus(1, seed=-1)
    assert len(synthetic_bus(0.001)) < 20
