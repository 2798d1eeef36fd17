"""Training that is interrupted goes on bit by bit as if it had not been: on a target, in the
simulator, and from one to the other; and what --steps means."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgetrain as et
from edgetrain.board import load_board
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.files import npz_bytes
from edgetrain.compiler.program import elements, pack
from edgetrain.files import read_npz
from edgetrain.link import Link, open_link
from edgetrain.pipeline import Program, open_project
from edgetrain.simulate import simulate_training
from edgetrain.state import STATE_FILE, export_state, import_state
from edgetrain.toolchain import IMAGE_FILE
from edgetrain.verify import verify
from tests.training.models import random_layers, write_mlp

SIZES = (6, 5, 3)
STEPS, BATCH = 1000, 2


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("resume")
    path = write_mlp(directory / "m.onnx", *random_layers(SIZES, seed=2), "Tanh")
    options = {"schedule": "cosine", "schedule_steps": 700, "warmup": 20, "batch": BATCH}
    et.compile(path, directory=directory / "out", learn="adam", **options)  # type: ignore[arg-type]
    return directory / "out"


@pytest.fixture(scope="module")
def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(4)
    x = rng.normal(0, 1, (STEPS, BATCH, SIZES[0])).astype(np.float32)
    return x, rng.integers(0, SIZES[-1], (STEPS, BATCH)).astype(np.uint8)


def run_on(link: Link, program: Program, x: Any, labels: Any) -> list[float]:
    entry = program.entry("train_step")
    buffers = [program.buffers[name] for name in entry.inputs]
    losses = []
    for sample in zip(x, labels, strict=True):
        result = link.run(
            program.entries.index(entry), b"".join(map(pack, buffers, map(np.asarray, sample)))
        )
        assert result.status == 0
        losses.append(float(np.frombuffer(result.output, np.float32)[0]))
    return losses


def same(left: Any, right: Any) -> bool:
    return left.keys() == right.keys() and all(
        left[name].tobytes() == right[name].tobytes() for name in left
    )


def test_half_on_one_device_and_half_on_another(
    project: Path, data: tuple[Any, Any], tmp_path: Path
) -> None:
    program, (x, labels), half = open_project(project), data, STEPS // 2
    straight = program.simulator()
    losses = [straight.train_step(*sample) for sample in zip(x, labels, strict=True)]
    board, image = load_board("host"), project / IMAGE_FILE
    states = program.of_kind("state")
    with open_link(board, image, "host") as first:
        assert run_on(first, program, x[:half], labels[:half]) == losses[:half]
        taken = {b.name: elements(b, first.read_state(i)) for i, b in enumerate(states)}
    (tmp_path / "half.npz").write_bytes(npz_bytes(taken))
    kept = read_npz(tmp_path / "half.npz", 10**6)
    resumed = program.simulator()
    resumed.load_state(kept)
    again = [resumed.train_step(*s) for s in zip(x[half:], labels[half:], strict=True)]
    assert again == losses[half:]
    assert same(resumed.state, straight.state)
    with open_link(board, image, "host") as second:
        for i, buffer in enumerate(states):
            second.write_state(i, pack(buffer, kept[buffer.name]))
        assert run_on(second, program, x[half:], labels[half:]) == losses[half:]
        final = {b.name: elements(b, second.read_state(i)) for i, b in enumerate(states)}
    assert same(final, straight.state)


def test_the_simulated_device_keeps_what_it_learns(
    project: Path, data: tuple[Any, Any], tmp_path: Path
) -> None:
    x, labels = (array[:40].reshape(40 * BATCH, *array.shape[2:]) for array in data)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", labels)
    files = tmp_path / "x.npy", tmp_path / "y.npy"
    one, two = (tmp_path / name for name in ("one", "two"))
    for directory in (one, two):
        shutil.copytree(project, directory)
    report = simulate_training(one, *files, steps=60, out=tmp_path / "losses.npz")
    assert (report.steps, report.samples) == (60, 60 * BATCH)
    losses = read_npz(tmp_path / "losses.npz", 10**6)["losses"]
    assert report.loss == pytest.approx(float(losses[-40:].mean()))
    straight = export_state(one, tmp_path / "straight.npz")
    simulator = open_project(project).simulator()
    for step in range(60):
        expected = simulator.train_step(data[0][step % 40], data[1][step % 40])
        assert losses[step] == np.float32(expected)
    # Once through, by default; then off this device, onto another, and on.
    assert simulate_training(two, *files).steps == 40
    export_state(two, tmp_path / "kept.npz")
    shutil.copytree(project, tmp_path / "three")
    import_state(tmp_path / "three", tmp_path / "kept.npz")
    simulate_training(tmp_path / "three", *files, steps=20)
    assert export_state(tmp_path / "three", tmp_path / "resumed.npz") == straight
    before = (one / STATE_FILE).read_bytes()
    for wrong in (labels[:-1], labels.astype(np.float32), np.array(3), labels + SIZES[-1]):
        np.save(tmp_path / "wrong.npy", wrong)
        with pytest.raises(InputError):
            simulate_training(one, files[0], tmp_path / "wrong.npy")
    assert (one / STATE_FILE).read_bytes() == before


def test_verify_takes_as_many_steps_as_told(project: Path, tmp_path: Path) -> None:
    report = verify(project, samples=5, steps=70)
    states = sum(b.type.size for b in open_project(project).of_kind("state"))
    assert (report.samples, report.steps, report.bit_exact) == (5, 70, True)
    # Five before learning and five after it.
    assert report.compared_values == 2 * 5 * SIZES[-1] + 70 + states
    assert verify(project, samples=4).steps == 4
    path = write_mlp(tmp_path / "m.onnx", *random_layers(SIZES, seed=2))
    et.compile(path, directory=tmp_path / "out")
    assert verify(tmp_path / "out", samples=3).steps == 0
    with pytest.raises(InputError, match="does not learn"):
        verify(tmp_path / "out", samples=3, steps=3)
