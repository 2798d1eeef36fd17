"""The circuit simulated clock by clock, as a program that speaks the link's protocol."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from edgetrain.board import load_board
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.program import Program
from edgetrain.compiler.program_file import program_sha256
from edgetrain.fpga.csim import cpp_compiler
from edgetrain.fpga.hardware import RTL, read_hardware
from edgetrain.fpga.synthesis import cxxrtl_headers, run_yosys, yosys_version
from edgetrain.kernels.c.tables import print_sizes
from edgetrain.kernels.rtl.adapter import print_adapter, print_registers
from edgetrain.kernels.rtl.axi import TOP
from edgetrain.kernels.rtl.forms import FORMS_FILE, template
from edgetrain.toolchain import FLAGS, compile_object, find_toolchain, stage
from edgetrain.version import VERSION

_IMAGE = "rtlsim"
_ADAPTER = "adapter.cpp"
_HEADERS = ("circuit_pins.h", "circuit_bus.h", "circuit_lines.h")
_VERILATOR = (
    *("--cc", "--exe", "--build", "-j", "2", "-O3", "--top-module", TOP),
    # Another release may complain of something new: what is simulated is tested, not its style.
    *("-Wno-lint", "-Wno-style", "-Wno-fatal"),
    # What runs every cycle alone is worth a compiler's time.
    *("-MAKEFLAGS", "OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O0"),
)


def available() -> bool:
    """Whether a simulator is here."""
    try:
        return bool(_simulator())
    except InputError:
        return False


def build_rtlsim(program: Program, directory: Path, image: Path) -> None:
    """Makes `image` of the project in `directory`, by Verilator or else by Yosys' CXXRTL.

    Raises InputError where neither is here, RuntimeError where they refuse the Verilog."""
    build = _simulator()
    engine = read_hardware(directory).engine
    with tempfile.TemporaryDirectory(dir=image.parent, prefix=".rtlsim-") as scratch:
        work = Path(scratch)
        for path in sorted((directory / RTL).iterdir()):
            shutil.copy(path, work)
        header = print_adapter(program, engine, program_sha256(program), VERSION)
        (work / "et_circuit.h").write_text(header)
        (work / "et_registers.h").write_text(print_registers(engine))
        for name in (_ADAPTER, *_HEADERS, FORMS_FILE):
            (work / name).write_text(template(name))
        (work / "et_sizes.h").write_text(print_sizes(program))
        build(work, _server(work))
        os.replace(work / _IMAGE, image)


def _simulator() -> Callable[[Path, list[str]], None]:
    """What builds an image; InputError where nothing does."""
    if shutil.which("verilator") is not None:
        return _verilated
    try:
        yosys_version()
        cpp_compiler()
    except InputError as error:
        raise InputError(
            "Verilator is not installed, nor what stands in for it",
            where=error.what,
            remedy="run `edgetrain doctor` for the commands",
        ) from None
    return _by_cxxrtl


def _server(work: Path) -> list[str]:
    """The objects of the link server, whose state is the circuit's."""
    host = load_board("host")
    tools = find_toolchain(host)
    stage(host, work / "board")
    made = []
    for path in sorted((work / "board").glob("*.c")):
        made.append(str(path.with_suffix(".o")))
        command = [*tools.compile, *FLAGS, "-O2", "-DET_STATE_HOOKS", "-I.", "-Iboard"]
        compile_object([*command, "-c", str(path), "-o", made[-1]], work)
    return made


def _verilated(work: Path, objects: list[str]) -> None:
    sources = sorted(path.name for path in work.glob("*.v"))
    flags = f"-I{work} -I{work / 'board'}"
    command = ["verilator", *_VERILATOR, "-CFLAGS", flags, "--Mdir", str(work / "obj")]
    command += ["-o", str(work / _IMAGE), *sources, _ADAPTER, *objects]
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(
        command, cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"verilator failed: {(done.stderr or done.stdout).strip()}")


def _by_cxxrtl(work: Path, objects: list[str]) -> None:
    sources = sorted(path.name for path in work.glob("*.v"))
    commands = [f"read_verilog {name}" for name in sources]
    commands += [
        f"hierarchy -top {TOP}",
        "proc",
        "flatten",
        "opt_clean",
        "write_cxxrtl circuit.cpp",
    ]
    done = run_yosys(commands, work)
    if not (work / "circuit.cpp").is_file():
        raise RuntimeError(f"Yosys failed: {(done.stderr or done.stdout).strip()[-500:]}")
    # CXXRTL doubles underscores.
    texts = "".join(template(name) for name in (_ADAPTER, *_HEADERS))
    pins = sorted(set(re.findall(r"circuit\.PIN\((\w+)\)", texts)))
    lines = [f"#define PIN_{pin} p_{pin.replace('_', '__')}" for pin in pins]
    (work / "et_pins.h").write_text("\n".join(lines) + "\n")
    folders = [f"-I{folder}" for folder in (cxxrtl_headers(), work, work / "board")]
    command = [*cpp_compiler(), "-std=c++14", "-O1", "-g0", "-DET_CXXRTL", *folders]
    compile_object([*command, "-x", "c++", "-c", _ADAPTER, "-o", "adapter.o"], work)
    compile_object([*cpp_compiler(), "adapter.o", *objects, "-o", _IMAGE], work)
