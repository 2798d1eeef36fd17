"""The experiments: a small slice of each, how results are kept, and that the page shows them."""

import json
from pathlib import Path

import pytest

from tests.support import needs_tool
from tools.experiments import store
from tools.experiments.page import curves
from tools.experiments.page.results import spread
from tools.experiments.registry import EXPERIMENTS, Unit, units

pytest.importorskip("torch", reason="experiments need `pip install 'edgetrain[train]'`")

from tools.experiments import brevitas, data, digits, learners, mnist, saved
from tools.experiments.__main__ import MODULES
from tools.experiments.can import benign, drift, vehicle
from tools.experiments.precisions import applicable

UNIT = Unit("mnist", {"rule": "sgd", "samples": 1}, 0)


@pytest.fixture
def few_digits(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rates, 1,000 test images, and no rates found before."""
    some = digits.test_digits()[:1000]
    monkeypatch.setattr(mnist, "test_digits", lambda: some)
    monkeypatch.setattr(mnist, "RATES", (2.0**-10, 2.0**-6))
    monkeypatch.setattr(mnist, "TRIED", 200)
    monkeypatch.setattr(mnist, "PAUSES", 2)
    monkeypatch.setattr(data, "BUILD", tmp_path)


@pytest.mark.usefixtures("few_digits")
@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_a_slice_of_mnist(rule: str) -> None:
    """PyTorch learns the same, to two test images in a thousand."""
    case = {"precision": "fp32", "rule": rule, "samples": 800}
    device, pytorch = (
        EXPERIMENTS["mnist"].run({"learner": learner, **case}, 1)
        for learner in ("device", "pytorch")
    )
    assert device["rate"] == pytorch["rate"]
    assert [step for step, _ in device["curve"]] == [step for step, _ in pytorch["curve"]]
    assert device["accuracy"] == pytest.approx(pytorch["accuracy"], abs=0.2)
    assert device["accuracy"] > 40


@pytest.mark.usefixtures("few_digits")
def test_a_slice_of_mnist_in_two_bits() -> None:
    case = {"learner": "device", "precision": "w2a2", "rule": "sgd", "samples": 800}
    assert EXPERIMENTS["mnist"].run(case, 1)["accuracy"] > 40


@pytest.mark.parametrize("learner", ["device", "brevitas"])
def test_a_slice_of_brevitas(data_dir: Path, learner: str) -> None:
    case = {"learner": learner, "rate": 0.25, "samples": 160 * brevitas.BATCH}
    assert EXPERIMENTS["brevitas"].run(case, 1)["accuracy"] > 50


@pytest.mark.parametrize(
    ("precision", "rule"),
    [
        ("fp32", "noprop"),
        ("int8", "likelihood-ratio"),
        ("w2a2, latents of fp16", "sgd"),
        ("int8, unscaled gradients", "sgd"),
    ],
)
def test_what_learns_mnist_takes_images(data_dir: Path, precision: str, rule: str) -> None:
    assert (precision, rule) in set(applicable())
    made = learners.program(precision, rule, mnist.falling(precision, 0.01, 10), 0)
    assert made.input_code.type.shape == (digits.PIXELS,)
    assert made.output_code.type.shape == (digits.CLASSES,)


def test_a_slice_of_its_costs(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_tool("qemu-system-arm")
    monkeypatch.setattr(mnist, "COUNTED", 3)
    case = {"rule": "sgd", "board": "mps2-an386"}
    found = EXPERIMENTS["mnist-cost"].run({"precision": "fp32", **case}, 0)
    assert found["differ"] == 0
    parameters = 196 * 64 + 64 + 64 * 10 + 10
    assert found["state_bytes"] == 4 * parameters
    assert found["step"] > 2 * found["infer"] > 0
    refused = EXPERIMENTS["mnist-cost"].run({"precision": "fp16", **case}, 0)
    assert "FLOAT16" in refused["refused"]


def test_a_slice_of_saved_activations(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_tool("qemu-system-arm")
    monkeypatch.setattr(saved, "test_digits", lambda: digits.test_digits()[:1000])
    monkeypatch.setattr(saved, "IMAGES", 500)
    monkeypatch.setattr(saved, "COUNTED", 3)
    few = EXPERIMENTS["saved-activations"].run({"saved": "int2", "rounds": 1}, 1)
    assert few["differ"] == 0
    assert few["accuracy"] > 5
    whole = saved.program(None, saved.BATCH, 500, 1)
    samples = 4 * saved.BATCH * digits.PIXELS
    assert 4 * (few["batch_arena_bytes"] - samples) < whole.arena_bytes - samples


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of results of its own."""
    monkeypatch.setattr(store, "KEPT", tmp_path / "build" / "results.jsonl")
    monkeypatch.setattr(store, "COMMITTED", tmp_path / "experiments.json")
    return tmp_path


def test_a_run_goes_on_where_it_ended(empty: Path) -> None:
    store.keep(UNIT, {"accuracy": 1.0})
    with store.KEPT.open("a") as file:
        file.write('{"experiment": "mnist", "para')
    assert store.done(keep=False) == {store.unit_key(UNIT)}


def test_results_of_other_code_are_run_again(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = store.unit_key(UNIT)
    store.keep(UNIT, {"accuracy": 1.0})
    store.commit_results([key])
    monkeypatch.setattr(store, "_present", lambda: ("7654321", "other"))
    assert store.done(keep=False) == set()
    assert store.done(keep=True) == {key}
    # Until there is a new one, the old result stays on the page.
    store.commit_results([key])
    assert store.load(store.COMMITTED)[key].result == {"accuracy": 1.0}
    store.keep(UNIT, {"accuracy": 2.0})
    store.commit_results([key])
    (record,) = json.loads(store.COMMITTED.read_text())
    assert (record["result"], record["commit"]) == ({"accuracy": 2.0}, "7654321")


def test_results_that_nothing_makes_any_more_leave_the_page(empty: Path) -> None:
    store.keep(UNIT, {"accuracy": 1.0})
    store.commit_results([])
    assert store.load(store.COMMITTED) == {}


def test_the_committed_results_are_of_committed_code() -> None:
    known = {store.unit_key(unit) for unit in units()}
    records = store.load(store.COMMITTED)
    assert records.keys() <= known
    assert [key for key, record in records.items() if "+" in record.commit] == []
    assert [key for key, record in records.items() if record.result.get("differ")] == []
    assert {module.__name__ for module in MODULES} >= {
        module.__name__ for module in (mnist, saved, drift, vehicle, benign)
    }


def test_the_curves_show_the_committed_results() -> None:
    figures = list(curves.figures())
    assert [figure.name for figure in figures if not figure.up_to_date] == [], "make experiments"
    drawn = {path.stem for path in curves.FOLDER.glob("*.svg")}
    assert drawn == {figure.name for figure in figures}


def test_the_same_curve_is_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(curves, "FOLDER", tmp_path)
    line = curves.Line("sgd", (1, 2), (50.0, 60.0), (49.0, 59.0), (51.0, 61.0))
    figure = curves.Figure("mnist", "MNIST", "samples", "accuracy", (line,))
    files = []
    for _ in range(2):
        curves.draw(figure)
        files.append((tmp_path / "mnist.svg").read_bytes())
    assert files[0] == files[1]
    assert figure.up_to_date


def test_spread() -> None:
    assert spread([94.0, 95.0, 96.0], ".1f") == "95.0 (94.0–96.0)"
    assert spread([1.0, 1.0]) == "1.00"
    assert spread([]) == "–"
