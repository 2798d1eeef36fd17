"""Projects of small circuits."""

from pathlib import Path

import numpy as np

from edgetrain.board import load_board
from edgetrain.compiler.program_file import save_program
from edgetrain.fpga.circuit import print_circuit
from edgetrain.fpga.hardware import Hardware
from edgetrain.networks import threshold_mlp
from edgetrain.pipeline import Program

SIZES = (10, 8, 3)
CLOCK = 1_700_000_000
"""When the files of a project were written, in tests that build from it."""


def write_network(path: Path, seed: int = 0) -> Path:
    """A model file: inputs of 2 bits, ternary weights, three thresholds a channel."""
    rng = np.random.default_rng(seed)
    inputs, hidden, outputs = SIZES
    weights = [
        rng.integers(-1, 2, shape).astype(np.int8)
        for shape in ((inputs, hidden), (hidden, outputs))
    ]
    thresholds = np.sort(rng.integers(-6, 7, (hidden, 3)), axis=1).astype(np.int32)
    path.write_bytes(threshold_mlp(weights, [thresholds], 2).SerializeToString(deterministic=True))
    return path


def write_circuit(program: Program, hardware: Hardware, directory: Path) -> Path:
    """The project of any circuit, as a compile would leave it."""
    for name, data in print_circuit(program, hardware, load_board("zcu104"), None).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    save_program(program, directory)
    return directory
