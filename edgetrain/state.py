"""What a device has learned, off and onto it, as a .npz file of the program's state tensors.

Without a link the device is the simulator, whose state is kept in the project's directory.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.files import npz_bytes
from edgetrain.compiler.program import elements, pack
from edgetrain.files import read_npz, write_file
from edgetrain.pipeline import Program, open_project
from edgetrain.target import open_target

STATE_FILE = "state.npz"

State = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class StateReport:
    """Shapes of the tensors by name, their bytes, and the hash of the tensors' file."""

    tensors: dict[str, list[int]]
    bytes: int
    sha256: str


def export_state(directory: str | Path, out: str | Path, link: str | None = None) -> StateReport:
    """Writes the state of the target behind `link`, or of the simulator, to `out`."""
    program = open_project(directory)
    state: State
    if link is None:
        state = saved_state(directory, program)
    else:
        with open_target(program, directory, link) as target:
            state = {
                buffer.name: elements(buffer, target.read_state(position))
                for position, buffer in enumerate(program.of_kind("state"))
            }
    return _write(state, Path(out))


def import_state(directory: str | Path, file: str | Path, link: str | None = None) -> StateReport:
    """Gives the state in `file` to the target behind `link`, or to the simulator.

    Raises InputError, changing nothing, unless it is exactly a state of this program.
    """
    program = open_project(directory)
    state = _read(Path(file), program)
    if link is None:
        keep_state(directory, state)
        return _describe(state)
    with open_target(program, directory, link) as target:
        for position, buffer in enumerate(program.of_kind("state")):
            target.write_state(position, pack(buffer, state[buffer.name]))
    return _describe(state)


def saved_state(directory: str | Path, program: Program) -> State:
    """The simulator's state in the project `directory`: the one imported last, or the initial."""
    path = Path(directory, STATE_FILE)
    return _read(path, program) if path.exists() else program.simulator().state


def keep_state(directory: str | Path, state: State) -> None:
    """Make `state` that of the simulator in the project `directory`."""
    _write(state, Path(directory, STATE_FILE))


def _read(path: Path, program: Program) -> State:
    limit = sum(array.nbytes for array in program.initial.values())
    simulator = program.simulator()
    try:
        simulator.load_state(read_npz(path, limit))
    except InputError as error:
        raise InputError(error.what, where=error.where or str(path), remedy=error.remedy) from error
    return simulator.state


def _write(state: State, path: Path) -> StateReport:
    write_file(path, npz_bytes(state))
    return _describe(state)


def _describe(state: State) -> StateReport:
    return StateReport(
        tensors={name: list(array.shape) for name, array in state.items()},
        bytes=sum(array.nbytes for array in state.values()),
        sha256=hashlib.sha256(npz_bytes(state)).hexdigest(),
    )
