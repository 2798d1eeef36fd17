"""A project as one self-contained HTML page: sizes, memory map, cost of every call."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import log
from pathlib import Path
from typing import Any

from edgetrain.board import load_board
from edgetrain.compiler.program import Buffer, Call, Entry
from edgetrain.costs import entry_macs, nest_macs
from edgetrain.files import write_file
from edgetrain.fpga.hardware import Cost, Hardware, read_hardware
from edgetrain.pipeline import Program, open_project, read_report

HTML_FILE = "report.html"


@dataclass(frozen=True)
class Block:
    """A buffer in the arena: bytes from `offset`, from call `born` to call `died`."""

    name: str
    offset: int
    bytes: int
    born: int
    died: int


@dataclass(frozen=True)
class Dot:
    """A folding in the picture: `x` goes with its cycles, `y` with its look-up tables."""

    cost: Cost
    x: float
    y: float


def write_report(directory: str | Path) -> Path:
    """Writes report.html into the project `directory`; its path.  Raises InputError."""
    path = Path(directory, HTML_FILE)
    write_file(path, render(directory).encode())
    return path


def render(directory: str | Path) -> str:
    """The page of the project in `directory`; the same project gives the same text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    program = open_project(directory)
    header = Path(directory, "src", "edgetrain.h")
    environment = Environment(
        loader=PackageLoader("edgetrain", "report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["number"] = lambda value: "–" if value is None else f"{value:,}"
    board = load_board(program.target)
    hardware = read_hardware(Path(directory)) if board.architecture == "fpga" else None
    return environment.get_template("page.html").render(
        report=asdict(read_report(directory)),
        program=program,
        board=board,
        hardware=hardware,
        front=() if hardware is None else front_dots(hardware),
        entries=[_entry(program, entry) for entry in program.entries],
        constants=sorted(program.of_kind("constant"), key=lambda b: (-b.bytes, b.name)),
        states=program.of_kind("state"),
        header=header.read_text(encoding="utf-8") if header.is_file() else "",
    )


def front_dots(hardware: Hardware) -> list[Dot]:
    """Every folding that was tried, in a picture of logarithmic scales, both from 0 to 1."""
    across = _logarithmic([cost.cycles for cost in hardware.front])
    upwards = _logarithmic([cost.luts for cost in hardware.front])
    return [Dot(cost, x, y) for cost, x, y in zip(hardware.front, across, upwards, strict=True)]


def _logarithmic(values: Sequence[int]) -> list[float]:
    """From 0, the least, to 1."""
    low, high = log(min(values, default=1)), log(max(values, default=1))
    return [(log(value) - low) / ((high - low) or 1.0) for value in values]


def _entry(program: Program, entry: Entry) -> Mapping[str, Any]:
    """What the page shows of one entry."""
    return {
        "entry": entry,
        "calls": [_call(program, call) for call in entry.calls],
        "macs": entry_macs(entry),
        "blocks": arena_blocks(program, entry),
    }


def _call(program: Program, call: Call) -> Mapping[str, Any]:
    def named(name: str) -> str:
        buffer = program.buffers[name]
        return f"{name}: {buffer.type}"

    return {
        "op": call.op,
        "kernel": call.kernel,
        "dims": " ".join(f"{name}={size}" for name, size in call.nest.dims) or "–",
        "reads": list(map(named, call.inputs)),
        "writes": list(map(named, call.outputs)),
        "macs": nest_macs(call.nest),
    }


def arena_blocks(program: Program, entry: Entry) -> list[Block]:
    """The arena's buffers of `entry` in the order of their birth."""
    born: dict[str, int] = {}
    died: dict[str, int] = {}
    for turn, call in enumerate(entry.calls):
        for name in call.outputs:
            if _in_arena(program.buffers[name]):
                born[name] = died[name] = turn
        for name in call.inputs:
            if name in born:
                died[name] = turn
    return [
        Block(name, program.buffers[name].offset, program.buffers[name].bytes, turn, died[name])
        for name, turn in born.items()
    ]


def _in_arena(buffer: Buffer) -> bool:
    return buffer.kind == "arena"
