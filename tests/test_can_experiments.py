"""Slices of the experiments with intrusion detection, of seconds of traffic."""

from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="experiments need `pip install 'edgetrain[train]'`")

import torch

from edgetrain.can.inject import KINDS
from edgetrain.train.can_ids import WIDTHS
from edgetrain.train.network import float_mlp, reproducible, w2a2_mlp
from tools.experiments import data
from tools.experiments.can import benign, classifiers, drift, ford, volvo
from tools.experiments.can.autoencoders import untrained
from tools.experiments.can.recall import alarms, bound
from tools.experiments.registry import EXPERIMENTS

CACHED = (volvo.table, volvo.clean_features, volvo.exam, benign.normal, benign.exam)


@pytest.fixture
def few_frames(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Seconds of the Volvo, two rates, networks that nobody has trained, and nothing kept."""
    for name, seconds in (("TRAINING", (0, 6)), ("ADAPTATION", (40, 42)), ("TEST", (70, 73))):
        monkeypatch.setattr(volvo, name, seconds)
    monkeypatch.setattr(data, "BUILD", tmp_path)
    monkeypatch.setattr(classifiers, "RATES", (2.0**-8, 2.0**-4))
    monkeypatch.setattr(benign, "RATES", (2.0**-12, 2.0**-4))
    monkeypatch.setattr(benign, "VOLVO", ((40.0, 41.0), (41.0, 43.0)))
    monkeypatch.setattr(volvo, "published", dict)

    def run_once(network: Any) -> Any:
        """Quantisers find their scales with the first samples."""
        with reproducible(0), torch.no_grad():
            network.train()(torch.from_numpy(volvo.clean_features((0, 1)).astype(np.float32)))
        return network.eval()

    classes = w2a2_mlp(WIDTHS, float_mlp(WIDTHS))
    monkeypatch.setattr(drift, "detector", lambda *_: run_once(classes))
    monkeypatch.setattr(benign, "autoencoder", lambda bits, _: run_once(untrained(bits)))
    for each in CACHED:
        each.cache_clear()
    yield
    for each in CACHED:
        each.cache_clear()


@pytest.mark.usefixtures("few_frames")
def test_a_slice_of_drift() -> None:
    before, after = (
        EXPERIMENTS["drift"].run({"left_out": "replay+burst", "update": update}, 1)
        for update in ("none", "all")
    )
    assert after.pop("rate") in classifiers.RATES
    assert before.keys() == after.keys() == {"1e-04", "1e-03"}
    assert before["1e-03"].keys() == {"clean", *KINDS}
    assert mean(after["1e-03"].values()) > mean(before["1e-03"].values())


@pytest.mark.usefixtures("few_frames")
def test_a_slice_of_benign_traffic_alone() -> None:
    before, after = (
        EXPERIMENTS["benign"].run({"vehicle": "volvo", "bits": 2, "update": update}, 1)
        for update in ("none", "all")
    )
    assert after["rate"] in benign.RATES
    assert before["1e-03"].keys() == {"clean", *KINDS}
    assert mean(after["1e-03"].values()) > mean(before["1e-03"].values())


def test_attacks_keep_their_order_among_benign_frames(data_dir: Path) -> None:
    clean, attacks = volvo.traffic((0, 1)), volvo.traffic((50, 50.1))
    times = ford.among(clean, attacks, seed=3).t_us
    late = times >= 50_000_000
    assert np.array_equal(times[~late], clean.t_us)
    assert np.array_equal(times[late], attacks.t_us)
    assert np.flatnonzero(late)[0] < len(times) / 2 < np.flatnonzero(late)[-1]


def test_recall_at_a_rate_of_false_alarms() -> None:
    """Of 999 clean frames none may raise an alarm for one in a thousand, of 9,999 nine."""
    clean = np.arange(9999.0)
    assert bound(clean[:999], 1e-3) == 998
    assert bound(clean, 1e-3) == 9998 - 9
    assert bound(clean, 1e-4) == 9998
    found = alarms(clean, {"far": np.array([1e6, 1e6, 0.0, 0.0]), "near": np.array([9990.0])})
    assert found == {"1e-04": {"far": 0.5, "near": 0.0}, "1e-03": {"far": 0.5, "near": 1.0}}
