"""State off and onto devices."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from edgetrain.board import load_board
from edgetrain.can.inject import inject
from edgetrain.can.synthetic import synthetic_bus
from edgetrain.compiler.files import npz_bytes
from edgetrain.compiler.program import pack
from edgetrain.link import open_link
from edgetrain.pipeline import open_project
from edgetrain.state import STATE_FILE, export_state, import_state, saved_state
from edgetrain.toolchain import IMAGE_FILE
from edgetrain.verify import frame_inputs
from tests.cli.conftest import Command


@pytest.fixture
def learned(project: Path) -> Path:
    """A state that is not the initial one, as a file."""
    simulator = open_project(project).simulator()
    for inputs in list(frame_inputs(inject(synthetic_bus(3.0))))[:40]:
        simulator.run("can_frame", *inputs)
    assert any(array.any() for array in simulator.state.values())
    Path("learned.npz").write_bytes(npz_bytes(simulator.state))
    return Path("learned.npz")


def test_what_is_imported_is_exported(edgetrain: Command, project: Path, learned: Path) -> None:
    initial = edgetrain(f"state export {project} -o initial.npz --json").data
    assert initial["sha256"] == hashlib.sha256(Path("initial.npz").read_bytes()).hexdigest()
    assert initial["bytes"] == sum(a.nbytes for a in open_project(project).initial.values())
    given = edgetrain(f"state import {project} {learned} --json").data
    taken = edgetrain(f"state export {project} -o taken.npz --json").data
    assert given == taken
    assert given["sha256"] != initial["sha256"]
    assert Path("taken.npz").read_bytes() == learned.read_bytes()
    (project / STATE_FILE).unlink()


def test_a_fresh_target_has_the_initial_state(project: Path) -> None:
    program = open_project(project)
    on_target = export_state(project, "target.npz", link="host")
    assert on_target == export_state(project, "simulator.npz")
    with np.load("target.npz") as state:
        for name, array in saved_state(project, program).items():
            np.testing.assert_array_equal(state[name], array)


def test_state_arrives_on_a_target_bit_for_bit(project: Path, learned: Path) -> None:
    """A device that got the state goes on exactly as the one that it came from."""
    program = open_project(project)
    imported = import_state(project, learned, link="host")
    assert not (project / STATE_FILE).exists()
    assert imported.tensors == {n: list(a.shape) for n, a in program.initial.items()}
    simulator = program.simulator()
    with np.load(learned) as archive:
        simulator.load_state(dict(archive))
    position = [entry.name for entry in program.entries].index("can_frame")
    entry = program.entries[position]
    with open_link(load_board("host"), project / IMAGE_FILE) as target:
        for index, buffer in enumerate(program.of_kind("state")):
            target.write_state(index, pack(buffer, simulator.state[buffer.name]))
        for inputs in list(frame_inputs(inject(synthetic_bus(3.0))))[40:60]:
            buffers = [program.buffers[name] for name in entry.inputs]
            sent = b"".join(map(pack, buffers, inputs))
            expected = simulator.run("can_frame", *inputs)
            results = [program.buffers[name] for name in entry.outputs]
            assert target.run(position, sent).output == b"".join(map(pack, results, expected))
