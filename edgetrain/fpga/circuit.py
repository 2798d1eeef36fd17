"""How a program becomes a circuit, and the files of its project."""

import json
from dataclasses import dataclass
from pathlib import Path

from edgetrain.board import Board
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.folding import Folding
from edgetrain.compiler.graph import Graph
from edgetrain.compiler.program import Program
from edgetrain.compiler.program_file import program_sha256
from edgetrain.compiler.types import Float
from edgetrain.costs import entry_macs
from edgetrain.fpga import driver
from edgetrain.fpga.finn import finn_files
from edgetrain.fpga.folding_file import allowed, read_foldings
from edgetrain.fpga.hardware import (
    FOLDED,
    HARDWARE_FILE,
    HLS,
    RTL,
    UNROLLED,
    Cost,
    Hardware,
    describe,
    verilog,
)
from edgetrain.fpga.search import search
from edgetrain.fpga.vitis import drawn_calls, print_vitis
from edgetrain.fpga.vivado import print_vivado
from edgetrain.kernels.hls.program import print_hls
from edgetrain.kernels.rtl.folded import print_folded
from edgetrain.kernels.rtl.unrolled_engine import unrolled_engine
from edgetrain.version import VERSION

AUTO = "auto"
DRIVER_FILE = "driver/edgetrain_driver.py"
UNROLLED_CYCLES = 7
"""Of an unrolled circuit, unless a latency is asked for."""
UNROLLED_MACS = 20_000
"""A network of more multiplications is not unrolled unless asked for."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """What is wanted: `fold` is unrolled, auto, or a file of foldings, None as fits; of those that
    auto finds, LUTs, block RAMs of 36 kbit and cycles of an inference at most."""

    fold: str | None = None
    budget_luts: int | None = None
    budget_brams: int | None = None
    target_latency: int | None = None

    def form(self, program: Program) -> str:
        """`fold`, or unrolled if that is possible, small enough, and no other wish is given."""
        if self.fold is not None:
            return self.fold
        (entry, *more) = program.entries
        plain = not more and not entry.updates and entry_macs(entry) <= UNROLLED_MACS
        return UNROLLED if plain and self == Circuit() else AUTO


def check_circuit(board: Board, how: Circuit) -> None:
    """Raises InputError where `how` does not fit `board`."""
    if board.architecture != "fpga" and how != Circuit():
        raise InputError(
            f"{board.name} is no FPGA: nothing of it is folded",
            remedy="leave out --fold, --budget-luts, --budget-brams and --target-latency, "
            "or use --board zcu104",
        )
    if how.fold not in (None, AUTO) and (how.budget_luts, how.budget_brams) != (None, None):
        raise InputError("budgets are for foldings that are looked for", remedy="use --fold auto")


def has_front_end(board: Board, how: Circuit) -> bool:
    """Whether a CAN detector brings its front end, which keeps a state."""
    return board.architecture != "fpga" or how.fold != UNROLLED


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
    form = how.form(program)
    if form == UNROLLED:
        (entry, *more) = program.entries
        if more:
            raise InputError(
                "an unrolled circuit has one entry, and keeps no state", remedy="use --fold auto"
            )
        cycles = UNROLLED_CYCLES if how.target_latency is None else how.target_latency
        return Hardware(UNROLLED, unrolled_engine(program, entry, cycles))
    if form != AUTO:
        foldings = read_foldings(Path(form), program)
        return Hardware(FOLDED, print_folded(program, foldings), foldings)
    choice = search(
        program,
        budget_luts=how.budget_luts,
        budget_brams=how.budget_brams,
        target_latency=how.target_latency,
    )
    point = choice.point
    engine = print_folded(program, point.foldings, point.block_bits)
    front = tuple(Cost(p.cycles, p.luts, p.brams, p == point) for p in choice.front)
    return Hardware(FOLDED, engine, point.foldings, front)


def print_circuit(
    program: Program, hardware: Hardware, board: Board, network: Graph | None
) -> dict[str, bytes]:
    """The files of the project by their place in it; `network` is the graph of `infer` before any
    pass, for FINN."""
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
    found = {name: text.encode() for name, text in files.items()}
    if network is not None:
        whole = {name: options[-1] for name, options in allowed(program).items()}
        missing = whole if unrolled else dict.fromkeys(whole, Folding())
        handed = finn_files(network, {**missing, **foldings})
        found |= {f"finn/{name}": data for name, data in handed.items()}
    return found
