"""Which compilers, emulators and other tools are here, and how to get the others."""

import importlib.metadata
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Tool:
    """One tool: what it is for, its version if it is here, and the command that installs it."""

    name: str
    purpose: str
    found: bool
    version: str
    install: str


@dataclass(frozen=True)
class _Candidate:
    name: str
    purpose: str
    install: str
    programs: tuple[str, ...] = ()
    distribution: str = ""


_APT = "sudo apt-get install"
_CANDIDATES = (
    _Candidate(
        "zig",
        "compiles for every microcontroller board",
        "pip install 'edgetrain[mcu]'",
        distribution="ziglang",
    ),
    _Candidate(
        "unicorn",
        "simulates Cortex-M0 to M33 and RV32IMAC",
        "pip install 'edgetrain[mcu]'",
        distribution="unicorn",
    ),
    _Candidate(
        "qemu-system-arm",
        "emulates the Cortex-M boards and counts instructions",
        f"{_APT} qemu-system-arm",
        programs=("qemu-system-arm",),
    ),
    _Candidate(
        "qemu-system-riscv32",
        "emulates the RISC-V boards and counts instructions",
        f"{_APT} qemu-system-misc",
        programs=("qemu-system-riscv32",),
    ),
    _Candidate(
        "qemu-system-riscv64",
        "emulates the 64-bit RISC-V board and counts instructions",
        f"{_APT} qemu-system-misc",
        programs=("qemu-system-riscv64",),
    ),
    _Candidate(
        "arm-none-eabi-gcc",
        "compiles for Cortex-M",
        f"{_APT} gcc-arm-none-eabi",
        programs=("arm-none-eabi-gcc",),
    ),
    _Candidate(
        "riscv64-unknown-elf-gcc",
        "compiles for RISC-V",
        f"{_APT} gcc-riscv64-unknown-elf",
        programs=("riscv64-unknown-elf-gcc",),
    ),
    _Candidate("gcc", "compiles for this machine", f"{_APT} build-essential", programs=("gcc",)),
    _Candidate(
        "clang",
        "compiles for this machine, and with GCC's linker for the boards",
        f"{_APT} clang-19",
        programs=("clang", "clang-19"),
    ),
    _Candidate("g++", "simulates circuits", f"{_APT} g++", programs=("g++",)),
    _Candidate(
        "verilator", "simulates circuits in Verilog", f"{_APT} verilator", programs=("verilator",)
    ),
    _Candidate(
        "pyosys",
        "counts a circuit's cells",
        "pip install 'edgetrain[fpga]'",
        distribution="pyosys",
    ),
    _Candidate(
        "hls4ml",
        "brings ap_int.h, with which circuits in C++ are simulated",
        "pip install 'edgetrain[fpga]'",
        distribution="hls4ml",
    ),
    _Candidate("tclsh", "runs the tests of Vivado's scripts", f"{_APT} tcl", programs=("tclsh",)),
    _Candidate("iverilog", "runs the tests of Verilog", f"{_APT} iverilog", programs=("iverilog",)),
    _Candidate("openocd", "flashes boards", f"{_APT} openocd", programs=("openocd",)),
    _Candidate("pyocd", "flashes boards", "pip install pyocd", programs=("pyocd",)),
    _Candidate("dfu-util", "flashes boards", f"{_APT} dfu-util", programs=("dfu-util",)),
    _Candidate("esptool", "loads the ESP32-C3", "pip install esptool", programs=("esptool",)),
    _Candidate(
        "torch",
        "trains models",
        "pip install torch --index-url https://download.pytorch.org/whl/cpu",
        distribution="torch",
    ),
    _Candidate(
        "brevitas",
        "trains quantised models",
        "pip install 'edgetrain[train]'",
        distribution="brevitas",
    ),
    _Candidate(
        "python-can",
        "reads more formats of CAN logs",
        "pip install 'edgetrain[can]'",
        distribution="python-can",
    ),
)


def diagnose() -> tuple[Tool, ...]:
    """Every tool that EdgeTrain can use, in order of use."""
    tools = []
    for each in _CANDIDATES:
        version = _distribution(each.distribution) if each.distribution else _program(each.programs)
        tools.append(
            Tool(each.name, each.purpose, version is not None, version or "", each.install)
        )
    return tuple(tools)


def _distribution(name: str) -> str | None:
    """The version of an installed Python package, without importing it."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _program(names: tuple[str, ...]) -> str | None:
    """The version that the first program found prints; "" where it prints none."""
    path = next((path for path in map(shutil.which, names) if path is not None), None)
    if path is None:
        return None
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"\d+\.\d+(\.\d+)?", (done.stdout + done.stderr).replace(Path(path).name, ""))
    return found[0] if found else ""
