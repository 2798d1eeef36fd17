"""A project's program in NumPy, on inputs from a file."""

import time
from dataclasses import dataclass
from pathlib import Path

from edgetrain.compiler.files import npz_bytes
from edgetrain.files import read_npy, write_file
from edgetrain.pipeline import open_project
from edgetrain.state import saved_state


@dataclass(frozen=True)
class SimulateReport:
    """`output` is the file written, if one was."""

    samples: int
    seconds: float
    samples_per_second: float
    output: str | None


def simulate(
    directory: str | Path, inputs: str | Path, out: str | Path | None = None
) -> SimulateReport:
    """Infers on the array (batch, features) of the .npy file `inputs`.

    Writes to the .npz file `out` the arrays `outputs`, in the model file's own domain, and `codes`,
    the integers that the device holds.  Raises InputError.
    """
    program = open_project(directory)
    simulator = program.simulator()
    simulator.load_state(saved_state(directory, program))
    x = read_npy(Path(inputs))
    start = time.perf_counter()
    codes = simulator.infer(x, raw=True)
    seconds = time.perf_counter() - start
    if out is not None:
        outputs = program.output_code.decode(codes)
        write_file(Path(out), npz_bytes({"outputs": outputs, "codes": codes}))
    return SimulateReport(len(x), seconds, len(x) / seconds, None if out is None else str(out))
