"""The identifier table and the metadata that carries it."""

import functools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetrain.can.frames import Frames
from edgetrain.can.synthetic import synthetic_bus
from edgetrain.can.table import (
    DEFAULT_PERIOD_US,
    EXTENDED,
    MAX_ROWS,
    METADATA_KEY,
    MIN_FRAMES,
    CanModel,
    IdentifierTable,
    cross_fit,
    fit_table,
    read_can_model,
)
from edgetrain.compiler.errors import InputError

Row = tuple[int, int, bool, str]  # time in µs, identifier, extended, payload in hex


def make_frames(rows: list[Row], *, kind: list[int] | None = None) -> Frames:
    n = len(rows)
    return Frames(
        t_us=np.array([row[0] for row in rows], np.int64),
        timestamped=True,
        id=np.array([row[1] for row in rows], np.uint32),
        extended=np.array([row[2] for row in rows], np.bool_),
        fd=np.zeros(n, np.bool_),
        dlc=np.full(n, 8, np.uint8),
        data=np.array([list(bytes.fromhex(row[3])) for row in rows], np.uint8).reshape(n, 8),
        kind=np.zeros(n, np.int16) if kind is None else np.array(kind, np.int16),
        kinds=("normal", "dos"),
    )


@functools.cache
def example() -> CanModel:
    table = fit_table(synthetic_bus(5.0, seed=1))
    return CanModel(("normal", "dos", "fuzzing", "spoofing"), 12.625, table)


def test_fit_finds_period_mask_and_value_of_each_identifier() -> None:
    fast = [(n * 1000 + n % 3, 0x123, False, f"f0{n % 4:02x}0000000000ff") for n in range(40)]
    slow = [(n * 7000, 0x123, True, "00" * 8) for n in range(MIN_FRAMES)]
    once = [(5, 0x7FF, False, "aa" * 8)]
    table = fit_table(make_frames(sorted(fast + slow + once)))
    assert table.key.tolist() == [0x123, 0x7FF, 0x123 + EXTENDED]
    gaps = np.diff([row[0] for row in fast])
    periods = [int(np.median(gaps)), DEFAULT_PERIOD_US, 7000, DEFAULT_PERIOD_US]
    assert table.period_us.tolist() == periods
    assert [mask.tobytes().hex() for mask in table.mask] == [
        "fffcffffffffffff",  # the two low bits of the second byte count
        "00" * 8,  # one frame shows nothing
        "ff" * 8,
        "00" * 8,
    ]
    assert table.value[0].tobytes().hex() == "f0000000000000ff"


def test_fit_leaves_attacks_out() -> None:
    normal: list[Row] = [(n * 1000, 0x10, False, "00" * 8) for n in range(20)]
    attack: list[Row] = [(n * 1000 + 1, 0x10, False, "ff" * 8) for n in range(20)]
    rows = sorted(normal + attack)
    mixed = make_frames(rows, kind=[int(row[3] == "ff" * 8) for row in rows])
    assert fit_table(mixed) == fit_table(make_frames(normal))


def test_fit_without_timestamps_takes_the_default_period() -> None:
    frames = synthetic_bus(3.0)
    blind = Frames(**{**vars(frames), "timestamped": False, "t_us": frames.t_us * 0})
    assert set(fit_table(blind).period_us.tolist()) == {DEFAULT_PERIOD_US}


def test_fit_keeps_the_most_frequent_identifiers() -> None:
    once = [(n, n + 5, True, "00" * 8) for n in range(MAX_ROWS + 10)]
    often: list[Row] = [(n, 3, True, "00" * 8) for n in range(9)]
    table = fit_table(make_frames(sorted(once + often)))
    assert len(table) == MAX_ROWS
    assert table.key[0] == 3 + EXTENDED


def test_rows_of_frames() -> None:
    table = fit_table(make_frames([(0, 5, False, "00" * 8), (1, 5, True, "00" * 8)]))
    frames = make_frames([(0, i, e, "00" * 8) for i, e in [(5, True), (5, False), (6, False)]])
    assert table.row(frames).tolist() == [1, 0, 2]
    assert fit_table(make_frames([])).row(frames).tolist() == [0, 0, 0]


def test_cross_fit_never_shows_a_table_its_own_frames() -> None:
    frames = synthetic_bus(20.0, seed=3)
    seen = []
    for indices, table in cross_fit(frames, 4):
        others = np.setdiff1d(np.arange(len(frames)), indices)
        assert table == fit_table(frames[others])
        assert np.ptp(frames.t_us[indices]) < 5.1e6
        seen.append(indices)
    assert np.array_equal(np.sort(np.concatenate(seen)), np.arange(len(frames)))


def test_metadata_survives_the_round_trip() -> None:
    model = example()
    assert CanModel.parse(model.serialise()) == model
    assert CanModel.parse(model.serialise()).serialise() == model.serialise()
    assert read_can_model({METADATA_KEY: model.serialise()}) == model
    assert read_can_model({"other": "x"}) is None


def test_without_strikes_rows_out() -> None:
    table = example().table
    less = table.without(np.array([0, 2]))
    kept = np.delete(np.arange(len(table)), [0, 2])
    assert less.key.tolist() == table.key[kept].tolist()
    assert less.mask[:-1].tolist() == table.mask[kept].tolist()
    assert less.period_us[-1] == table.period_us[-1]
    assert table.without(np.array([], np.int64)) == table


def test_table_is_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        example().table.mask[0] = 0


def test_equality_sees_every_field() -> None:
    table = example().table
    data = table.to_json()
    data["unknown_period_us"] += 1
    assert IdentifierTable.from_json(data) != table


def spoilt() -> list[tuple[str, Any]]:
    """(name, what replaces the field at that path) for files that must be refused."""
    row = [5, 100, "00" * 8, "00" * 8]
    return [
        ("version", 2),
        ("version", True),
        ("classes", []),
        ("classes", ["normal"]),
        ("classes", ["dos", "normal"]),
        ("classes", ["normal", "normal"]),
        ("classes", ["normal", "a\nb"]),
        (
            "classes",
            ["normal", 'x"; int y'],
        ),
        ("classes", ["normal", 7]),
        ("classes", "normal"),
        ("classes", ["normal", *(f"c{n}" for n in range(64))]),
        ("alarm_threshold", "1"),
        ("alarm_threshold", None),
        ("alarm_threshold", 1e300),
        ("alarm_threshold", 10**400),
        ("alarm_threshold", True),
        ("table", []),
        ("table", {"rows": []}),
        ("table", {"rows": {}, "unknown_period_us": 1}),
        ("table", {"rows": [], "unknown_period_us": 0}),
        ("table", {"rows": [], "unknown_period_us": 1 << 24}),
        ("table", {"rows": [], "unknown_period_us": -1}),
        ("table", {"rows": [], "unknown_period_us": 1.0}),
        ("table", {"rows": [row, row], "unknown_period_us": 1}),
        ("table", {"rows": [row] * (MAX_ROWS + 1), "unknown_period_us": 1}),
        ("table", {"rows": [[0x800, *row[1:]]], "unknown_period_us": 1}),
        ("table", {"rows": [[2 * EXTENDED, *row[1:]]], "unknown_period_us": 1}),
        ("table", {"rows": [[1 << 40, *row[1:]]], "unknown_period_us": 1}),
        ("table", {"rows": [[True, *row[1:]]], "unknown_period_us": 1}),
        ("table", {"rows": [row[:3]], "unknown_period_us": 1}),
        ("table", {"rows": [7], "unknown_period_us": 1}),
        ("table", {"rows": [[*row[:2], "0" * 15, row[3]]], "unknown_period_us": 1}),
        ("table", {"rows": [[*row[:2], "0" * 15 + "\n", row[3]]], "unknown_period_us": 1}),
        ("table", {"rows": [[*row[:2], "zz" * 8, row[3]]], "unknown_period_us": 1}),
        ("table", {"rows": [[*row[:3], "ff" * 8]], "unknown_period_us": 1}),
        ("table", {"rows": [], "unknown_period_us": 1, "more": 1}),
        ("more", 1),
    ]


@pytest.mark.parametrize(("field", "value"), spoilt())
def test_spoilt_metadata_is_refused(field: str, value: Any) -> None:
    data = json.loads(example().serialise())
    data[field] = value
    with pytest.raises(InputError, match=r"edgetrain\.can"):
        CanModel.parse(json.dumps(data))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[" * 100_000,
        '{"a": ' * 50_000,
        "9" * 5000,
        " " * ((1 << 20) + 1),
        '{"version": 1, "version": 1}',
        "\ud800",
        example().serialise().replace("12.625", "NaN"),
        example().serialise().replace("12.625", "Infinity"),
        example().serialise().replace("12.625", "1e999"),
    ],
    ids=range(11),
)
def test_what_is_not_such_json_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        CanModel.parse(text)


@given(st.text(max_size=60), st.integers(0, 400), st.integers(0, 60))
def test_mangled_metadata_gives_input_error_or_a_valid_model(
    insert: str, position: int, removed: int
) -> None:
    text = example().serialise()
    mangled = text[:position] + insert + text[position + removed :]
    try:
        model = CanModel.parse(mangled)
    except InputError:
        return
    assert CanModel.parse(model.serialise()) == model


def test_ill_typed_arrays_are_refused() -> None:
    table = example().table
    with pytest.raises(InputError, match="period_us"):
        IdentifierTable(table.key, table.period_us.astype(np.int64), table.mask, table.value)
    with pytest.raises(InputError, match="mask"):
        IdentifierTable(table.key, table.period_us, table.mask[1:], table.value)
