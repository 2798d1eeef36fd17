"""The circuit simulated clock by clock, as a program that speaks the link's protocol."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from edgetrain.board import load_board
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.program import Program
from edgetrain.compiler.program_file import program_sha256
from edgetrain.fpga.hardware import RTL, read_hardware
from edgetrain.kernels.c.tables import print_sizes
from edgetrain.kernels.rtl.adapter import print_adapter
from edgetrain.kernels.rtl.axi import TOP, template
from edgetrain.toolchain import FLAGS, compile_object, find_toolchain, stage
from edgetrain.version import VERSION

IMAGE_FILE = "rtlsim"
_VERILATOR = (
    *("--cc", "--exe", "--build", "-j", "2", "-O3", "--top-module", TOP),
    # Another release may complain of something new: what is simulated is tested, not its style.
    *("-Wno-lint", "-Wno-style", "-Wno-fatal"),
    # What runs every cycle alone is worth a compiler's time.
    *("-MAKEFLAGS", "OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O0"),
)


def available() -> bool:
    return shutil.which("verilator") is not None


def build_rtlsim(program: Program, directory: Path, image: Path) -> None:
    """Makes `image` of the project in `directory`.  Raises InputError where no simulator is
    here, RuntimeError where it refuses the Verilog."""
    if not available():
        raise InputError(
            "Verilator is not installed", remedy="run `edgetrain doctor` for the command"
        )
    engine = read_hardware(directory).engine
    with tempfile.TemporaryDirectory(dir=image.parent, prefix=".rtlsim-") as scratch:
        work = Path(scratch)
        for path in sorted((directory / RTL).iterdir()):
            shutil.copy(path, work)
        header = print_adapter(program, engine, program_sha256(program), VERSION)
        (work / "et_circuit.h").write_text(header)
        (work / "adapter.cpp").write_text(template("adapter.cpp"))
        (work / "et_sizes.h").write_text(print_sizes(program))
        objects = _server(work)
        sources = sorted(path.name for path in work.glob("*.v"))
        flags = f"-I{work} -I{work / 'board'}"
        command = ["verilator", *_VERILATOR, "-CFLAGS", flags, "--Mdir", str(work / "obj")]
        command += ["-o", str(work / IMAGE_FILE), *sources, "adapter.cpp", *objects]
        environment = {**os.environ, "LC_ALL": "C"}
        done = subprocess.run(
            command, cwd=work, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"verilator failed: {(done.stderr or done.stdout).strip()}")
        os.replace(work / IMAGE_FILE, image)


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
