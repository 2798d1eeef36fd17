"""The injector: what it adds is what it says, and the clean frames come through untouched."""

from pathlib import Path

import numpy as np
import pytest

from edgetrain.can.frames import Frames
from edgetrain.can.inject import KINDS, changed, inject, inject_file
from edgetrain.can.readers import read
from edgetrain.can.synthetic import synthetic_bus
from edgetrain.can.writer import write_csv
from edgetrain.compiler.errors import InputError

SECONDS = 40.0


@pytest.fixture(scope="module")
def clean() -> Frames:
    return synthetic_bus(SECONDS, seed=5)


@pytest.fixture(scope="module")
def attacked(clean: Frames) -> Frames:
    return inject(clean, seed=1)


def payloads(frames: Frames) -> list[bytes]:
    return [bytes(row[:dlc]) for row, dlc in zip(frames.data, frames.dlc, strict=True)]


def earlier(clean: Frames, identifier: int, t_us: int) -> list[bytes]:
    return payloads(clean[(clean.id == identifier) & (clean.t_us <= t_us)])


def test_clean_frames_survive_in_order_and_time_never_goes_back(
    clean: Frames, attacked: Frames
) -> None:
    assert attacked[attacked.kind == 0].equals(clean)
    assert np.all(np.diff(attacked.t_us) >= 0)
    assert attacked.kinds == ("normal", *KINDS)


def test_rates(attacked: Frames) -> None:
    counted = {kind: int(attacked.of_kind(kind).sum()) for kind in KINDS}
    assert counted == {
        "dos": 90 * round(0.3 * SECONDS),
        "fuzz": 2 * SECONDS,
        "byte-fuzz": 2 * SECONDS,
        "unknown": 2 * SECONDS,
        "replay": 2 * SECONDS,
        "burst": 100 * round(0.15 * SECONDS),
    }


def test_floods_use_the_highest_priority(clean: Frames, attacked: Frames) -> None:
    flood = attacked[attacked.of_kind("dos")]
    assert set(flood.id.tolist()) == {0, int(clean.id.min())}
    gaps = np.diff(flood.t_us)
    assert np.median(gaps) < 250


def test_fuzzing(clean: Frames, attacked: Frames) -> None:
    known = set(clean.id.tolist())
    for frame in attacked[attacked.of_kind("unknown")].id.tolist():
        assert frame not in known
        assert 0 < frame < 0x800
    fuzz = attacked[attacked.of_kind("fuzz")]
    assert set(fuzz.id.tolist()) <= known
    assert len(set(fuzz.id.tolist())) > 5
    for name in ("fuzz", "byte-fuzz"):
        of_kind = attacked[attacked.of_kind(name)]
        for identifier, t_us, payload in zip(
            of_kind.id.tolist(), of_kind.t_us.tolist(), payloads(of_kind), strict=True
        ):
            base = earlier(clean, identifier, t_us)[-1]
            different = sum(a != b for a, b in zip(base, payload, strict=True))
            assert different > 0
            assert name == "fuzz" or different <= 4


def test_replays_repeat_something_earlier(clean: Frames, attacked: Frames) -> None:
    replay = attacked[attacked.of_kind("replay")]
    for identifier, t_us, payload in zip(
        replay.id.tolist(), replay.t_us.tolist(), payloads(replay), strict=True
    ):
        assert payload in earlier(clean, identifier, t_us)


def test_bursts_are_forged_and_regular(clean: Frames) -> None:
    bursts = inject(clean, ["burst"], seed=3)
    bursts = bursts[bursts.of_kind("burst")]
    sent = {(i, p) for i, p in zip(clean.id.tolist(), payloads(clean), strict=True)}
    forged = list(zip(bursts.id.tolist(), payloads(bursts), strict=True))
    assert not sent & set(forged)
    assert set(bursts.id.tolist()) <= set(clean.id.tolist())
    assert all(forged.count(frame) == 100 for frame in set(forged))
    one = bursts[np.array([frame == forged[0] for frame in forged])]
    assert np.all(np.abs(np.diff(one.t_us) - 10_000) <= 100)


def test_seeded_and_each_kind_on_its_own(clean: Frames, attacked: Frames) -> None:
    assert attacked.equals(inject(clean, seed=1))
    assert not attacked.equals(inject(clean, seed=2))
    alone = inject(clean, ["replay"], seed=1)
    assert alone[alone.kind > 0].equals(attacked[attacked.of_kind("replay")])


def test_extended_and_empty_frames_and_offset_times(clean: Frames) -> None:
    identifiers = clean.id.astype(np.uint32) << 10
    dlc = np.where(clean.id == clean.id[0], 0, clean.dlc).astype(np.uint8)
    data = clean.data * (dlc > 0)[:, None].astype(np.uint8)
    other = Frames(
        **{
            **vars(clean),
            "t_us": clean.t_us + 1_700_000_000_000_000,
            "id": identifiers,
            "extended": np.ones(len(clean), np.bool_),
            "dlc": dlc,
            "data": data,
            "kind": np.full(len(clean), -1, np.int16),
        }
    )
    attacked = inject(other, seed=0)
    attacks = attacked[attacked.kind > 0]
    assert attacks.t_us.min() >= other.t_us[0]
    assert int((attacked.kind == 0).sum()) == len(other)
    by_copy = attacks[attacks.of_kind("replay") | attacks.of_kind("burst")]
    assert np.all(by_copy.extended)
    assert np.all(by_copy.dlc > 0)


def test_refusals(clean: Frames, attacked: Frames) -> None:
    with pytest.raises(InputError, match="unknown attack 'ddos'"):
        inject(clean, ["ddos"])
    with pytest.raises(InputError, match="already"):
        inject(attacked)
    with pytest.raises(InputError, match="seed is negative"):
        inject(clean, seed=-1)
    jump = np.where(np.arange(len(clean)) < 100, 0, 1_700_000_000_000_000)
    with pytest.raises(InputError, match="more than a day"):
        inject(Frames(**{**vars(clean), "t_us": clean.t_us + jump}))
    with pytest.raises(InputError, match="timestamps"):
        inject(Frames(**{**vars(clean), "timestamped": False}))
    with pytest.raises(InputError, match="too short"):
        inject(clean[:1])
    with pytest.raises(InputError, match="too short"):
        inject(clean[:0])
    with pytest.raises(InputError, match="payload"):
        inject(
            Frames(
                **{**vars(clean), "dlc": np.zeros_like(clean.dlc), "data": clean.data * np.uint8(0)}
            )
        )


def test_changed_replaces_one_to_four_bytes() -> None:
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        seen.add(sum(a != b for a, b in zip(b"12345678", changed(rng, b"12345678"), strict=True)))
    assert seen == {1, 2, 3, 4}
    assert changed(rng, b"1") != b"1"


def test_inject_file(tmp_path: Path, clean: Frames) -> None:
    log, out = tmp_path / "clean.csv", tmp_path / "attacked.csv"
    write_csv(clean, log)
    summary = inject_file(log, ["dos", "unknown"], 4, out)
    assert read(out).frames.equals(inject(clean, ["dos", "unknown"], 4))
    assert summary.frames == len(clean) + summary.injected
    assert summary.injected == sum(summary.per_kind.values()) == 90 * 12 + 80
    assert sorted(path.name for path in tmp_path.iterdir()) == ["attacked.csv", "clean.csv"]
    again = tmp_path / "again.csv"
    inject_file(log, ["dos", "unknown"], 4, again)
    assert again.read_bytes() == out.read_bytes()
