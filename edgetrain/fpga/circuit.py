"""How a program becomes a circuit, and the files of its project."""

import json
from dataclasses import dataclass
from pathlib import Path

from edgetrain.board import Board
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.folding import Folding
from edgetrain.compiler.program import Program
from edgetrain.compiler.program_file import program_sha256
from edgetrain.compiler.types import Float
from edgetrain.fpga import driver
from edgetrain.fpga.hardware import HARDWARE_FILE, HLS, RTL, UNROLLED, Hardware, describe, verilog
from edgetrain.fpga.vitis import drawn_calls, print_vitis
from edgetrain.fpga.vivado import print_vivado
from edgetrain.kernels.hls.program import print_hls
from edgetrain.kernels.rtl.unrolled_engine import unrolled_engine
from edgetrain.version import VERSION

AUTO = "auto"
DRIVER_FILE = "driver/edgetrain_driver.py"
UNROLLED_CYCLES = 7
"""Of an unrolled circuit, unless a latency is asked for."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """What is wanted: `fold` is unrolled, auto, or a file of foldings; of those that auto finds,
    LUTs, block RAMs of 36 kbit and cycles of an inference at most."""

    fold: str = UNROLLED
    budget_luts: int | None = None
    budget_brams: int | None = None
    target_latency: int | None = None

    @property
    def unrolled(self) -> bool:
        return self.fold == UNROLLED


def check_circuit(board: Board, how: Circuit) -> None:
    """Raises InputError where `how` does not fit `board`."""
    if board.architecture != "fpga" and how != Circuit():
        raise InputError(
            f"{board.name} is no FPGA: nothing of it is folded",
            remedy="leave out --fold, --budget-luts, --budget-brams and --target-latency, "
            "or use --board zcu104",
        )
    if how.fold != AUTO and (how.budget_luts, how.budget_brams) != (None, None):
        raise InputError("budgets are for foldings that are looked for", remedy="use --fold auto")


def has_front_end(board: Board, how: Circuit) -> bool:
    """Whether a CAN detector brings its front end, which keeps a state."""
    return board.architecture != "fpga" or not how.unrolled


def check_integers(program: Program, board: Board) -> None:
    """Raises InputError where `program` computes anything that a circuit does not."""
    for entry in program.entries:
        names = (*entry.inputs, *(name for call in entry.calls for name in call.outputs))
        if any(isinstance(program.buffers[name].type.scalar, Float) for name in names):
            remedy = "learn with --precision integer" if entry.updates else "train it quantised"
            raise InputError(
                f"{board.name} computes with integers alone, {entry.name} with floats",
                remedy=remedy,
            )


def make_hardware(program: Program, how: Circuit) -> Hardware:
    """The circuit of `program`.  Raises InputError."""
    if how.unrolled:
        (entry, *more) = program.entries
        if more:
            raise InputError(
                "an unrolled circuit has one entry, and keeps no state", remedy="use --fold auto"
            )
        cycles = UNROLLED_CYCLES if how.target_latency is None else how.target_latency
        return Hardware(UNROLLED, unrolled_engine(program, entry, cycles))
    return _folded(program, how)


def _folded(program: Program, how: Circuit) -> Hardware:
    raise InputError("circuits are not folded yet", remedy="use --fold unrolled")


def print_circuit(program: Program, hardware: Hardware, board: Board) -> dict[str, str]:
    """The files of the project by their place in it."""
    description = describe(hardware, program, board.part)
    rtl = verilog(hardware, program)
    files = {HARDWARE_FILE: json.dumps(description, indent=1) + "\n"}
    files |= {f"{RTL}/{name}": text for name, text in rtl.items()}
    lanes = {
        stream.buffer: stream.lanes
        for ports in hardware.engine.entries
        for stream in (*ports.inputs, *ports.outputs)
    }
    foldings: dict[str, Folding] = dict(hardware.foldings)
    unrolled = hardware.form == UNROLLED
    digest = program_sha256(program)
    hls = print_hls(program, foldings, digest, VERSION, unrolled=unrolled, lanes=lanes)
    hls |= print_vitis(program, drawn_calls(program), lanes=lanes, part=board.part)
    files |= {f"{HLS}/{name}": text for name, text in hls.items()}
    scripts = print_vivado(hardware.engine, board.part, list(rtl))
    files |= {f"vivado/{name}": text for name, text in scripts.items()}
    files[DRIVER_FILE] = Path(driver.__file__).read_text(encoding="utf-8")
    return files
