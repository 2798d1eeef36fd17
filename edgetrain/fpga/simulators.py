"""Programs that simulate a project's circuit and speak the link's protocol."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgetrain.board import Board
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.program import Program
from edgetrain.fpga import csim, rtlsim
from edgetrain.fpga.hardware import HLS


def best_simulator(board: Board) -> str:
    """The first of the board's that can be built here; InputError if there is none."""
    able = {"rtlsim": rtlsim.available, "csim": csim.available}
    for name in board.simulators:
        if able[name]():
            return name
    raise InputError(
        "nothing that simulates a circuit is installed",
        remedy="run `edgetrain doctor` for the commands that install Verilator or ap_int.h",
    )


@contextmanager
def simulator_image(program: Program, directory: Path, link: str) -> Iterator[Path]:
    """What simulates the project in `directory` by the `link` rtlsim or csim, as long as the
    context lasts: building it takes seconds, so that it stays in the project where that can be
    written.  Raises InputError where it cannot be built."""
    kept = directory / link
    if kept.is_file() and kept.stat().st_mtime >= _changed(directory):
        yield kept
        return
    writable = os.access(directory, os.W_OK)
    place = directory.resolve() if writable else None
    with tempfile.TemporaryDirectory(dir=place, prefix=".simulator-") as scratch:
        image = Path(scratch, link)
        if link == "rtlsim":
            rtlsim.build_rtlsim(program, directory, image)
        else:
            csim.build_csim(directory / HLS, image)
        if writable:
            os.replace(image, kept)
            image = kept
        yield image


def _changed(directory: Path) -> float:
    """When the newest of the project's sources was written."""
    return max((p.stat().st_mtime for p in (directory / "src").rglob("*")), default=0.0)
