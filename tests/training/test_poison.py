"""Input that poisons: refused before any state changes, on targets as in the simulator."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetrain.board import load_board
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.program import pack
from edgetrain.compiler.rules import Learning
from edgetrain.link import Link, open_link
from edgetrain.pipeline import Program, compile_model, write_project
from edgetrain.toolchain import IMAGE_FILE
from tests.support import needs_tool
from tests.training.models import random_layers, write_mlp

POISONS = [np.nan, -np.nan, np.inf, -np.inf]
CASES: list[tuple[str, dict[str, Any]]] = [
    ("host", {}),
    ("host", {"batch": 3}),
    ("host", {"precision": "fp16"}),
    ("mps2-an386", {}),
    ("mps2-an386", {"loss": "mse"}),
    ("bbc_microbit", {"batch": 3}),
    ("mps3-an547", {"loss": "mse", "batch": 2}),
    ("qemu-rv32imafc", {"loss": "bce"}),
    ("qemu-rv64-zvfh", {}),
    ("qemu-rv32-zfh", {"precision": "fp16", "batch": 2}),
    ("mps3-an547", {"precision": "fp16"}),
]


def good_inputs(program: Program) -> list[Any]:
    """Of `train_step`: a sample or a batch, and its target."""
    rng = np.random.default_rng(1)
    x, target = (program.buffers[name].type for name in program.entry("train_step").inputs)
    scalar = storage_dtype(target.scalar)
    if scalar.kind == "f":
        return [rng.normal(size=x.shape).astype(scalar), rng.normal(size=target.shape)]
    return [rng.normal(size=x.shape), np.asarray(rng.integers(0, 3, target.shape), scalar)]


def poisoned(good: list[Any]) -> list[list[Any]]:
    """`good` with one element of one input spoilt, the last element too."""
    found = []
    for position, array in enumerate(good):
        poisons = POISONS if array.dtype.kind == "f" else [3, 255]
        for at in {0, array.size - 1}:
            for poison in poisons:
                bad = [a.copy() for a in good]
                bad[position].reshape(-1)[at] = poison
                found.append(bad)
    return found


class Device:
    """The entry `train_step` of a target."""

    def __init__(self, link: Link, program: Program) -> None:
        entry = program.entry("train_step")
        self._link = link
        self._position = program.entries.index(entry)
        self._buffers = [program.buffers[name] for name in entry.inputs]
        self._states = program.of_kind("state")

    def packed(self, inputs: list[Any]) -> bytes:
        return b"".join(map(pack, self._buffers, inputs))

    def run(self, data: bytes) -> int:
        return self._link.run(self._position, data).status

    def state(self) -> dict[str, bytes]:
        return {b.name: self._link.read_state(i) for i, b in enumerate(self._states)}


@pytest.mark.parametrize(
    ("board", "how"), CASES, ids=["-".join([b, *map(str, how.values())]) for b, how in CASES]
)
def test_poison_changes_nothing(board: str, how: dict[str, Any], tmp_path: Path) -> None:
    qemu = load_board(board).qemu
    if qemu is not None:
        needs_tool(qemu.program)
    path = write_mlp(tmp_path / "m.onnx", *random_layers((5, 4, 3), seed=1))
    program = compile_model(path, board, learn="adam", how=Learning(**how))
    write_project(program, tmp_path / "out")
    simulator = program.simulator()
    start = {name: array.tobytes() for name, array in simulator.state.items()}
    good = good_inputs(program)
    bad = poisoned(good)
    assert len(bad) >= 9
    with open_link(load_board(board), tmp_path / "out" / IMAGE_FILE) as link:
        link.hello()
        device = Device(link, program)
        for inputs in bad:
            with pytest.raises(InputError):
                simulator.run("train_step", *inputs)
            assert device.run(device.packed(inputs)) == 1
        whole = device.packed(good)
        for data in (b"", whole[:-1], whole + b"\0"):
            with pytest.raises(InputError, match="refuses the arguments"):
                device.run(data)
        with pytest.raises(InputError, match="shape"):
            simulator.run("train_step", good[0][..., :-1], good[1])
        assert device.state() == start
        assert {name: array.tobytes() for name, array in simulator.state.items()} == start
        # What is sound is still learned, and alike.
        simulator.run("train_step", *good)
        assert device.run(whole) == 0
        after = {name: array.tobytes() for name, array in simulator.state.items()}
        assert device.state() == after
        assert after != start
