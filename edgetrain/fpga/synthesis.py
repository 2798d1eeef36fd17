"""Gate counts and netlists by Yosys, from PyPI's pyosys: before place and route, no timing."""

import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgetrain.compiler.errors import InputError

_FAMILY = "xcup"
"""UltraScale+, in Yosys' words."""
_RUN = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in sys.stdin.read().splitlines():
    libyosys.run_pass(command, design)
"""
_SIZES = {
    1: "LUT1 LUT2 LUT3 LUT4 LUT5 LUT6 SRL16 SRL16E SRLC16 SRLC16E SRLC32E RAM32X1S RAM64X1S",
    2: "RAM32X1D RAM64X1D RAM128X1S",
    4: "RAM32M RAM64M RAM128X1D RAM256X1S",
    8: "RAM32M16 RAM64M8 RAM32X16DR8 RAM64X8SW RAM256X1D RAM512X1S",
}
_LUTS = {name: luts for luts, names in _SIZES.items() for name in names.split()}
"""Look-up tables in a cell (UG974)."""
_BLOCKS = {"RAMB18E1": 0.5, "RAMB18E2": 0.5, "RAMB36E1": 1.0, "RAMB36E2": 1.0}
_PREFIXES = {
    "ffs": "FD",
    "carries": "CARRY",
    "dsps": "DSP",
    "urams": "URAM",
    "inverters": "INV",
}
_UNCOUNTED = re.compile(r"MUXF[789]|[IO]?BUFG?|\$scopeinfo")


@dataclass(frozen=True, slots=True)
class Resources:
    """Cells: look-up tables, those that are memory or shift registers among them; flip-flops; carry
    chains in Yosys' cells, CARRY4 or CARRY8; multipliers; block memories in units of 36 kbit.

    `inverters` are not among `luts`: place and route merges those into other tables that it can.
    """

    luts: int
    ffs: int
    carries: int
    dsps: int
    brams: float
    urams: int
    inverters: int


@dataclass(frozen=True, slots=True)
class Synthesis:
    """What became of a design: its cells, the netlist as Verilog over AMD's, and who made it."""

    resources: Resources
    netlist: str
    version: str


def synthesise(sources: Mapping[str, str], top: str) -> Synthesis:
    """The module `top` of `sources`, file names to texts, for UltraScale+.

    Files other than `.v` and `.sv` lie beside them, for `$readmemh`.  InputError without pyosys, or
    where Yosys makes no netlist: its exit status would not tell.
    """
    version = yosys_version()
    verilog = [name for name in sources if Path(name).suffix in (".v", ".sv")]
    if not re.fullmatch(r"[A-Za-z_]\w*", top, re.ASCII):
        raise InputError(f"{top!r} is no name of a module")
    commands = [
        *(f"read_verilog -sv {name}" for name in verilog),
        f"synth_xilinx -family {_FAMILY} -flatten -top {top}",
        "tee -q -o statistics.json stat -json -tech xilinx",
        "write_verilog -noattr netlist.v",
    ]
    with tempfile.TemporaryDirectory(prefix="edgetrain-") as folder:
        for name, text in sources.items():
            if not re.fullmatch(r"\w[\w.]*", name, re.ASCII):
                raise InputError(f"{name!r} is no name of a source file")
            (Path(folder) / name).write_text(text)
        done = run_yosys(commands, Path(folder))
        netlist, statistics = Path(folder) / "netlist.v", Path(folder) / "statistics.json"
        if not netlist.is_file():
            said = re.findall(r"^.*ERROR:? *(.*)$", done.stdout + done.stderr, re.MULTILINE)
            raise InputError(f"Yosys makes no netlist of {top}", where=said[-1] if said else "")
        cells = json.loads(statistics.read_text())["design"]["num_cells_by_type"]
        return Synthesis(_resources(cells), netlist.read_text(), f"Yosys {version}")


def run_yosys(commands: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs commands of Yosys in `folder`, in a process of their own: its files tell how it went."""
    return subprocess.run(
        [sys.executable, "-c", _RUN],
        cwd=folder,
        input="\n".join(commands),
        capture_output=True,
        text=True,
        check=False,
    )


def cxxrtl_headers() -> Path:
    """The folder of CXXRTL's `cxxrtl/cxxrtl.h`."""
    return _share() / "include" / "backends" / "cxxrtl" / "runtime"


def yosys_version() -> str:
    """That of pyosys; InputError where there is none."""
    try:
        return importlib.metadata.version("pyosys")
    except importlib.metadata.PackageNotFoundError:
        raise InputError(
            "pyosys is not installed", remedy="pip install 'edgetrain[fpga]'"
        ) from None


def cell_models() -> Path:
    """Verilog of the cells of a netlist, to simulate it; none of block memories and multipliers."""
    return _share() / "xilinx" / "cells_sim.v"


def _share() -> Path:
    """What pyosys brings beside its library; InputError where there is none."""
    yosys_version()
    found = importlib.util.find_spec("pyosys")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "share"


def _resources(cells: Mapping[str, int]) -> Resources:
    found: dict[str, Any] = dict.fromkeys(_PREFIXES, 0) | {"luts": 0, "brams": 0.0}
    for name, count in cells.items():
        kind = next((k for k, prefix in _PREFIXES.items() if name.startswith(prefix)), None)
        if name in _LUTS:
            found["luts"] += _LUTS[name] * count
        elif name in _BLOCKS:
            found["brams"] += _BLOCKS[name] * count
        elif kind is not None:
            found[kind] += count
        else:
            assert _UNCOUNTED.fullmatch(name), f"{name} is counted nowhere"
    return Resources(**found)
