"""What a step of learning costs on a board: memory, and instructions on its emulator."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.program import TRAINING
from edgetrain.pipeline import Program, write_project
from edgetrain.verify import Inputs, simulate_calls, verify
from tools.experiments.registry import Result

BOARDS = ("mps2-an386", "mps3-an547")
"""Cortex-M4 and Cortex-M55."""


def measure(program: Program, x: NDArray[Any], targets: NDArray[Any]) -> Result:
    """Learns the samples `x` (steps, features) on the emulator of the program's board.

    Bytes of state, arena and stack; mean instructions of a step and of an inference of the same
    samples; how many losses, outputs and numbers of state differ from the simulator's.
    """
    codes = program.input_code.encode(x)
    calls: dict[str, Sequence[Inputs]] = {
        "infer": [(code,) for code in codes],
        TRAINING: [(code, np.asarray(t)) for code, t in zip(codes, targets, strict=True)],
    }
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch, "project")
        built = write_project(program, directory)
        reference = simulate_calls(program, calls)
        found = verify(directory, link="qemu", reference=reference, count=True)
    return {
        "state_bytes": built.state_bytes,
        "arena_bytes": built.arena_bytes,
        "stack_bytes": built.stack_bytes,
        "ram_bytes": built.ram_bytes,
        "step": found.instructions[TRAINING],
        "infer": found.instructions["infer"],
        "differ": found.mismatches,
        "toolchain": built.toolchain,
    }
