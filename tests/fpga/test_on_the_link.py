"""Whole projects in Verilator: a network that learns, and the shipped detector."""

import contextlib
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetrain.can.inject import inject
from edgetrain.can.synthetic import synthetic_bus
from edgetrain.fpga.driver import Device
from edgetrain.fpga.hardware import read_hardware
from edgetrain.pipeline import open_project
from edgetrain.project import compile_project
from edgetrain.simulator import Simulator
from edgetrain.verify import draw, frame_inputs, verify
from tests.fpga.fake_pynq import Circuit, allocate
from tests.support import needs_tool

INTEGER = {"learn": "sgd", "precision": "integer"}
SMALL, DETECTOR = "mlp-8-6-3-w2a2", "can-ids-w2a2"
Case = tuple[str, dict[str, Any], int, int | None]
USUAL: dict[str, Case] = {"every layer learns": (SMALL, INTEGER, 20, 20)}
MORE: dict[str, Case] = {
    "10,000 frames": (DETECTOR, {}, 10_000, None),
    "1,000 steps of the last layer": (DETECTOR, {**INTEGER, "update": "last"}, 50, 1000),
    "1,000 steps of every layer": (DETECTOR, INTEGER, 50, 1000),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        cases = MORE if metafunc.config.getoption("--every") else USUAL
        metafunc.parametrize("case", cases.values(), ids=list(cases))


def test_it_is_bit_exact(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_tool("verilator")
    model, options, samples, steps = case
    directory, fold = tmp_path / "project", tmp_path / "fold.json"
    fold.write_text("{}")
    compile_project(model, "zcu104", directory=directory, fold=str(fold), **options)
    report = verify(directory, samples=samples, steps=steps, link="rtlsim")
    assert report.bit_exact, report.first_mismatch
    assert report.steps == (steps or 0)
    # The same image, its streams stalling.
    monkeypatch.setenv("ET_STALLS", "9")
    again = verify(directory, samples=5, steps=None if steps is None else 5, link="rtlsim")
    assert again.bit_exact
    if steps is not None:
        drive(directory)
    elif model == DETECTOR:
        drive_frames(directory)


def drive_frames(directory: Path) -> None:
    """The driver takes CAN frames as the simulator does."""
    program, engine = open_project(directory), read_hardware(directory).engine
    with contextlib.closing(Circuit(directory / "rtlsim", engine.s_bits, engine.m_bits)) as circuit:
        device = Device(directory / "edgetrain.bit", None, circuit, allocate)
        simulator = Simulator(program)
        frames = inject(synthetic_bus(2.0, 1), seed=1)
        for inputs in itertools.islice(frame_inputs(frames), 200):
            expected = simulator.run("can_frame", *inputs)
            t_us, identifier, extended, dlc = (int(x) for x in inputs[:4])
            found = device.can_frame(t_us, identifier, extended, dlc, inputs[4])
            names = program.entry("can_frame").output_names
            assert found == dict(zip(names, map(int, expected), strict=True))


def drive(directory: Path) -> None:
    """The driver learns as the simulator does, on the same circuit."""
    program, engine = open_project(directory), read_hardware(directory).engine
    with contextlib.closing(Circuit(directory / "rtlsim", engine.s_bits, engine.m_bits)) as circuit:
        device = Device(directory / "edgetrain.bit", None, circuit, allocate)
        simulator = Simulator(program)
        rng = np.random.default_rng(4)
        x, target = (program.buffers[n] for n in program.entry("train_step").inputs)
        for _ in range(4):
            sample, label = draw(rng, x), draw(rng, target)
            assert device.train_step(sample, label) == simulator.train_step(sample, label)
            answer, expected = device.run("infer", sample), simulator.run("infer", sample)
            np.testing.assert_array_equal(answer[0], expected[0])
        state = device.state
        assert state.keys() == simulator.state.keys()
        for name, array in simulator.state.items():
            np.testing.assert_array_equal(state[name], array)
        device.reset()
        device.load_state(state)
        sample = draw(rng, x)
        np.testing.assert_array_equal(
            device.run("infer", sample)[0], simulator.run("infer", sample)[0]
        )
