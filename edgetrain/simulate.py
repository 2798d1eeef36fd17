"""A project's program in NumPy, on inputs from a file."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.files import npz_bytes
from edgetrain.files import read_npy, write_file
from edgetrain.pipeline import open_project
from edgetrain.state import keep_state, saved_state


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


@dataclass(frozen=True)
class TrainingReport:
    """`loss` is the mean over the last time through the inputs; `output` the file written, if one
    was."""

    samples: int
    steps: int
    loss: float
    seconds: float
    samples_per_second: float
    output: str | None


def simulate_training(
    directory: str | Path,
    inputs: str | Path,
    labels: str | Path,
    steps: int | None = None,
    out: str | Path | None = None,
) -> TrainingReport:
    """Learns from the array (samples, features) of `inputs` with the targets in `labels`, in order
    and from the start again, `steps` steps, by default once through.

    The state is that of the project's simulator before and after.  Writes to the .npz file `out`
    the `losses` of the steps.  Raises InputError; the state is then as it was.
    """
    program = open_project(directory)
    simulator = program.simulator()
    simulator.load_state(saved_state(directory, program))
    x, y = program.input_code.encode(read_npy(Path(inputs))), read_npy(Path(labels))
    if y.ndim == 0 or not len(x) or len(x) != len(y):
        raise InputError(
            f"labels of shape {y.shape} for {len(x)} samples",
            where=str(labels),
            remedy="give one of each sample",
        )
    if y.dtype.kind not in ("iu" if y.ndim == 1 else "fiu"):
        raise InputError(f"labels are {y.dtype}", where=str(labels), remedy="give whole numbers")
    batch = program.metadata.get("learn", {}).get("batch", 1)
    once = max(len(x) // batch, 1)
    steps = once if steps is None else steps
    losses = np.empty(steps, np.float32)
    start = time.perf_counter()
    for step in range(steps):
        rows = np.arange(step * batch, (step + 1) * batch) % len(x)
        chosen = rows if batch > 1 else rows[0]
        losses[step] = simulator.train_step(x[chosen], y[chosen])
    seconds = time.perf_counter() - start
    if out is not None:
        write_file(Path(out), npz_bytes({"losses": losses}))
    keep_state(directory, simulator.state)
    return TrainingReport(
        samples=steps * batch,
        steps=steps,
        loss=float(losses[-once:].mean()),
        seconds=seconds,
        samples_per_second=steps * batch / seconds,
        output=None if out is None else str(out),
    )
