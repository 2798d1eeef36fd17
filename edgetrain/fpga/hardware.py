"""The circuit of a program: its form, its Verilog, and the file by which tools know it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.folding import Folding
from edgetrain.compiler.ops.fixed_loss import LOSS_FRACTION
from edgetrain.compiler.program import Program
from edgetrain.compiler.program_file import program_sha256
from edgetrain.compiler.types import Int
from edgetrain.fpga.synthesis import Synthesis, synthesise
from edgetrain.kernels.rtl.axi import print_top
from edgetrain.kernels.rtl.engine import Engine, Ports, Stream, Tensor
from edgetrain.kernels.rtl.registers import (
    IDENTIFICATION,
    MAP_VERSION,
    READ_COMMAND,
    REGISTERS,
    RESET_COMMAND,
    WRITE_COMMAND,
)
from edgetrain.version import VERSION

UNROLLED, FOLDED = "unrolled", "folded"
HARDWARE_FILE = "hardware.json"
RTL, HLS = Path("src", "rtl"), Path("src", "hls")
ENGINE_FILE, TOP_FILE = "et_engine.v", "edgetrain.v"


@dataclass(frozen=True)
class Hardware:
    """`form` is unrolled or folded; `foldings`, of the latter, are by unit."""

    form: str
    engine: Engine
    foldings: Mapping[str, Folding] = field(default_factory=dict)


def verilog(hardware: Hardware, program: Program) -> dict[str, str]:
    """The files in RTL by name: the block with its interfaces, and the circuit in it."""
    top = print_top(hardware.engine, program_sha256(program), VERSION)
    return {TOP_FILE: top, ENGINE_FILE: hardware.engine.text}


def describe(hardware: Hardware, program: Program, part: str) -> dict[str, Any]:
    """What hardware.json says: all that a driver needs."""
    engine = hardware.engine
    entries = []
    for entry, ports in zip(program.entries, engine.entries, strict=True):
        named = ((entry.input_names, ports.inputs), (entry.output_names, ports.outputs))
        inputs, outputs = (
            [_stream(program, name, each) for name, each in zip(names, streams, strict=True)]
            for names, streams in named
        )
        cost = {"cycles": ports.cycles, "interval": ports.interval}
        entries.append({"name": entry.name, **cost, "inputs": inputs, "outputs": outputs})
    tensors = [
        {**asdict(tensor), "initial": program.initial[tensor.buffer].ravel().tolist()}
        for tensor in engine.tensors
    ]
    code, result = program.input_code, program.output_code
    return {
        "program_sha256": program_sha256(program).hex(),
        "release": VERSION,
        "part": part,
        "form": hardware.form,
        "foldings": {name: asdict(folding) for name, folding in hardware.foldings.items()},
        "identification": IDENTIFICATION,
        "map_version": MAP_VERSION,
        "commands": {"reset": RESET_COMMAND, "read": READ_COMMAND, "write": WRITE_COMMAND},
        "registers": [asdict(register) for register in REGISTERS],
        "s_bits": engine.s_bits,
        "m_bits": engine.m_bits,
        "entries": entries,
        "tensors": tensors,
        "loss_fraction": LOSS_FRACTION,
        "input_code": {"lowest": code.lowest, "steps": list(code.steps)},
        "output_code": {
            "scales": [str(scale) for scale in result.scales],
            "offsets": [str(offset) for offset in result.offsets],
        },
    }


def _stream(program: Program, name: str, stream: Stream) -> dict[str, Any]:
    kind = program.buffers[stream.buffer].type
    assert isinstance(kind.scalar, Int)
    limits = {"low": kind.scalar.lo, "high": kind.scalar.hi}
    return {"name": name, "shape": kind.shape, **asdict(stream), **limits}


def read_hardware(directory: Path) -> Hardware:
    """That of the project in `directory`.  Raises InputError."""
    path = directory / HARDWARE_FILE
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        entries = tuple(
            Ports(
                entry["name"],
                tuple(map(_read_stream, entry["inputs"])),
                tuple(map(_read_stream, entry["outputs"])),
                entry["cycles"],
                entry["interval"],
            )
            for entry in table["entries"]
        )
        names = ("buffer", "shape", "bits", "signed", "lanes", "stride")
        tensors = tuple(
            Tensor(**{**{name: each[name] for name in names}, "shape": tuple(each["shape"])})
            for each in table["tensors"]
        )
        text = (directory / RTL / ENGINE_FILE).read_text(encoding="utf-8")
        engine = Engine(text, entries, tensors, table["s_bits"], table["m_bits"])
        foldings = {name: Folding(**each) for name, each in table["foldings"].items()}
        return Hardware(table["form"], engine, foldings)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            "cannot be read", where=str(path), remedy="compile the model again"
        ) from error


def synthesise_engine(hardware: Hardware) -> Synthesis:
    """The cells of the circuit without its interfaces.  Raises InputError where Yosys is absent."""
    top = "et_core" if hardware.form == UNROLLED else "et_engine"
    return synthesise({ENGINE_FILE: hardware.engine.text}, top)


def _read_stream(table: Mapping[str, Any]) -> Stream:
    return Stream(*(table[name] for name in ("buffer", "size", "bits", "signed", "lanes")))
