"""The PYNQ driver against the circuit itself, simulated behind its registers and streams."""

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetrain.compiler.rules import Learning
from edgetrain.fpga import driver
from edgetrain.fpga.driver import Device, DeviceError
from edgetrain.fpga.hardware import Hardware, describe
from edgetrain.kernels.rtl.unrolled_engine import unrolled_engine
from edgetrain.pipeline import Program, compile_model
from edgetrain.simulator import Simulator
from edgetrain.workloads import find_model
from tests.fpga.fake_pynq import Circuit, allocate


@pytest.fixture
def circuit(project: Path) -> Iterator[Circuit]:
    found = Circuit(project / "rtlsim", 8, 16, stalls=3)
    yield found
    found.close()


@pytest.fixture
def device(project: Path, circuit: Circuit) -> Device:
    return Device(project / "edgetrain.bit", None, circuit, allocate)


def test_it_computes_what_the_simulator_does(device: Device, program: Program) -> None:
    simulator = Simulator(program)
    rng = np.random.default_rng(3)
    for _ in range(20):
        x = rng.integers(-8, 8, 3)
        (found,), (expected,) = device.run("infer", x), simulator.run("infer", x)
        np.testing.assert_array_equal(found, expected)
        assert 3 <= device.cycles < 50
    assert simulator.state.keys() == device.state.keys()
    for name, array in device.state.items():
        np.testing.assert_array_equal(array, simulator.state[name])
    x = rng.integers(-8, 8, (4, 3)).astype(np.float32)
    rows = [simulator.run("infer", row.astype(np.int8))[0] for row in x]
    np.testing.assert_array_equal(device.infer(x, raw=True), rows)


def test_state_goes_on_and_off(device: Device, program: Program) -> None:
    ends = np.array([[2**40, -(2**40), 0, 1, -1]] * 2)
    device.load_state({"last": [7, -8, 0], "table": ends})
    np.testing.assert_array_equal(device.state["table"], ends)
    np.testing.assert_array_equal(device.run("infer", [1, 1, 1])[0], [8, -7, 1])
    device.reset()
    for name, array in program.initial.items():
        np.testing.assert_array_equal(device.read_state(name), array)


def test_what_does_not_fit_is_refused(device: Device) -> None:
    before = device.state
    for call, message in (
        (lambda: device.run("infer", [8, 0, 0]), "input x is not within -8 to 7"),
        (lambda: device.run("infer", [0, 0]), r"input x has shape \(2,\), not \(3,\)"),
        (lambda: device.run("infer"), "infer takes 1 inputs, not 0"),
        (lambda: device.run("train_step", 1, 2), "no entry train_step: there are infer"),
        (lambda: device.train_step([1, 2, 3], 0), "no entry train_step"),
        (lambda: device.infer(np.zeros(3)), r"the input has shape \(3,\)"),
        (lambda: device.infer(np.full((1, 3), 0.5)), "the input is not whole"),
        (lambda: device.infer(np.full((1, 3), np.nan)), "NaN or infinity"),
        (lambda: device.write_state("last", [0, 0, 9]), "last does not fit 4 bits"),
        (lambda: device.write_state("last", [0, 0]), r"last has shape \(3,\), not \(2,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    for name, array in device.state.items():
        np.testing.assert_array_equal(array, before[name])


def test_a_reset_gives_up_the_frame_in_hand(device: Device, circuit: Circuit) -> None:
    circuit.begin([0x77])
    assert circuit.read(device._registers["status"]) == 1
    device.reset()
    np.testing.assert_array_equal(device.run("infer", [1, 2, 3])[0], [2, 0, 6])


def test_another_program_is_refused(project: Path, circuit: Circuit, tmp_path: Path) -> None:
    table = json.loads((project / "hardware.json").read_text())
    for key, value, message in (
        ("program_sha256", "0" * 64, "the circuit is of another program"),
        ("identification", 3, "no circuit of EdgeTrain answers, or another: identification"),
        ("map_version", 2, "map_version"),
    ):
        path = tmp_path / "hardware.json"
        path.write_text(json.dumps({**table, key: value}))
        with pytest.raises(DeviceError, match=message):
            Device(tmp_path / "edgetrain.bit", path, circuit, allocate)


class Simulated(Device):
    """A device whose circuit is the simulator."""

    def __init__(self, program: Program, hardware: dict[str, Any]) -> None:
        self.hardware = json.loads(json.dumps(hardware))
        self._entries = {each["name"]: each for each in self.hardware["entries"]}
        self._simulator = Simulator(program)

    def run(self, name: str, *inputs: Any) -> tuple[Any, ...]:
        return self._simulator.run(name, *map(np.asarray, inputs))


def test_the_domains_are_those_of_the_model_file() -> None:
    program = compile_model(find_model("can-ids-w2a2"), "zcu104", front_end=False)
    engine = unrolled_engine(program, program.entry("infer"), 7)
    device = Simulated(program, describe(Hardware("unrolled", engine), program, "part"))
    x = np.random.default_rng(0).normal(0.5, 1, (50, 57)).astype(np.float32)
    expected = Simulator(program).infer(x)
    found = device.infer(x)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_the_loss_is_the_simulators() -> None:
    how = Learning(precision="integer")
    model = find_model("can-ids-w2a2")
    program = compile_model(model, "zcu104", learn="sgd", how=how, front_end=False)
    hardware: dict[str, Any] = {"entries": [], "loss_fraction": 12}
    device, simulator = Simulated(program, hardware), Simulator(program)
    x = np.random.default_rng(0).integers(0, 2, 57)
    assert device.train_step(x, 2) == simulator.train_step(x, 2) != 0


def test_numbers_are_rounded_once() -> None:
    rng = np.random.default_rng(1)
    from fractions import Fraction

    for _ in range(200):
        below = np.float32(rng.normal() * 10.0 ** rng.integers(-30, 30))
        above = np.nextafter(below, np.float32(np.inf))
        middle = (Fraction(float(below)) + Fraction(float(above))) / 2
        even = below if int(below.view(np.uint32)) % 2 == 0 else above
        # Too near to the middle for float64 to tell.
        little = abs(middle) / 2**70
        assert driver._nearest(middle) == even
        assert driver._nearest(middle + little) == above
        assert driver._nearest(middle - little) == below
    assert driver._nearest(Fraction(10) ** 60) == np.inf


def test_it_needs_nothing_of_edgetrain_and_runs_on_old_python() -> None:
    text = Path(driver.__file__).read_text()
    tree = ast.parse(text, feature_version=(3, 8))
    names = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name) or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    own = {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}
    assert own == {"numpy", "numpy.typing", "pynq"}
