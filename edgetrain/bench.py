"""What one inference costs on a board: measured on the board or its emulator, and checked."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgetrain.board import load_board
from edgetrain.compiler.errors import InputError
from edgetrain.costs import entry_macs
from edgetrain.pipeline import open_project, read_report
from edgetrain.project import compile_project
from edgetrain.toolchain import Optimise
from edgetrain.verify import Mismatch, verify

PHASES = ("infer",)


@dataclass(frozen=True)
class BenchReport:
    """One phase of one workload on one board.

    `instructions` is the mean over the samples, entry to return; `instructions_can_frame` that of
    a whole CAN frame, front end and network, where the program has it.  Both are None where the
    link cannot count, and fit for comparison only if `comparable`.
    """

    workload: str
    board: str
    phase: str
    link: str
    samples: int
    instructions: float | None
    instructions_can_frame: float | None
    comparable: bool
    macs: int
    flash_bytes: int | None
    weights_bytes: int
    ram_bytes: int | None
    stack_bytes: int | None
    bit_exact: bool
    toolchain: str | None
    first_mismatch: Mismatch | None


def bench(
    workload: str | Path,
    board: str | None = None,
    *,
    phase: str = "infer",
    toolchain: str = "auto",
    optimise: Optimise = "speed",
    link: str = "auto",
    samples: int = 20,
    seed: int = 0,
) -> BenchReport:
    """Measures `workload`: a shipped model's name, a model file, or a project as it was built.

    Raises InputError; of a project, `board` may only name its own.
    """
    if phase not in PHASES:
        raise InputError(f"unknown phase {phase!r}", remedy=f"phases: {', '.join(PHASES)}")
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(workload)
        if not (directory / "program.json").is_file():
            directory = Path(scratch, "project")
            compile_project(
                workload,
                board or "host",
                directory=directory,
                toolchain=toolchain,
                optimise=optimise,
            )
        return _measure(str(workload), directory, board, phase, link, samples, seed)


def _measure(
    workload: str,
    directory: Path,
    board: str | None,
    phase: str,
    link: str,
    samples: int,
    seed: int,
) -> BenchReport:
    program, report = open_project(directory), read_report(directory)
    if board is not None and load_board(board).name != program.target:
        raise InputError(
            f"the project is for {program.target}", where=workload, remedy="leave out --board"
        )
    result = verify(directory, samples=samples, seed=seed, link=link, count=True)
    return BenchReport(
        workload=workload,
        board=program.target,
        phase=phase,
        link=result.link,
        samples=samples,
        instructions=result.instructions[phase],
        instructions_can_frame=result.instructions.get("can_frame"),
        comparable=result.comparable,
        macs=entry_macs(program.entry(phase)),
        flash_bytes=report.flash_bytes,
        weights_bytes=report.weights_bytes,
        ram_bytes=report.ram_bytes,
        stack_bytes=report.stack_bytes,
        bit_exact=result.bit_exact,
        toolchain=report.toolchain,
        first_mismatch=result.first_mismatch,
    )
