"""C simulation: the HLS C++ of a program as a process that speaks the link's protocol."""

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edgetrain.board import load_board
from edgetrain.compiler.errors import InputError
from edgetrain.toolchain import compile_object, stage, zig_command

_HEADER = "ap_int.h"
_LEVEL = "-O1"
_TABLES = "et_tables.cpp"
# The engine in the same unit, since reading ap_int.h takes longer than the rest of either file.
_CPP = ("-std=c++14", "-x", "c++", "-include", "et_engine.cpp")
_C = ("-std=c99", "-x", "c")
# Without ap_int.h's overloads for std::complex, which it declares as Clang's library does not.
_DEFINES = ("-DET_STATE_HOOKS", "-D__AP_INT_SPECIAL_H__", "-D__AP_FIXED_SPECIAL_H__")


def ap_types() -> Path:
    """The folder of `ap_int.h`: that of Vitis (XILINX_HLS, XILINX_VITIS), or of hls4ml's package.

    Raises InputError where there is neither."""
    for variable in ("XILINX_HLS", "XILINX_VITIS"):
        folder = Path(os.environ.get(variable) or "/nonexistent", "include")
        if (folder / _HEADER).is_file():
            return folder
    spec = importlib.util.find_spec("hls4ml")
    for location in (spec.submodule_search_locations or ()) if spec is not None else ():
        folder = Path(location, "templates", "vivado", "ap_types")
        if (folder / _HEADER).is_file():
            return folder
    raise InputError(
        f"{_HEADER}, which HLS C++ includes, is not here",
        remedy="pip install 'edgetrain[fpga]', or set XILINX_HLS to Vitis HLS",
    )


def available() -> bool:
    """Whether what it takes is here."""
    try:
        return bool(ap_types() and cpp_compiler())
    except InputError:
        return False


def build_csim(sources: Path, image: Path, flags: Sequence[str] = ()) -> Path:
    """Compile what `print_hls` printed into `sources`, with the link server, to `image`.

    `flags` are for the compiler too.  Raises InputError where no C++ compiler or no `ap_int.h` is
    here, RuntimeError if the compiler refuses the sources."""
    compiler = cpp_compiler()
    common = [f"-isystem{ap_types()}", *_DEFINES, _LEVEL, "-g0", *flags]
    with tempfile.TemporaryDirectory(dir=image.parent, prefix=".csim-") as scratch:
        board = Path(scratch, "board")
        stage(load_board("host"), board)
        common += [f"-I{sources.resolve()}", f"-I{board}"]
        objects, jobs = [], []
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for path in (sources.resolve() / _TABLES, *sorted(board.glob("*.c"))):
                objects.append(str(Path(scratch, f"{path.name}.o")))
                language = _C if path.suffix == ".c" else _CPP
                command = [*compiler, *common, *language, "-c", str(path), "-o", objects[-1]]
                jobs.append(pool.submit(compile_object, command, sources))
        for job in jobs:
            job.result()
        compile_object([*compiler, *objects, "-o", str(image.resolve())], sources)
    return image


def cpp_compiler() -> tuple[str, ...]:
    """G++, else Zig's Clang."""
    found = shutil.which("g++")
    if found is not None:
        return (found,)
    zig = zig_command()
    if zig is None:
        raise InputError(
            "no C++ compiler is here", remedy="install g++, or: pip install 'edgetrain[mcu]'"
        )
    return (*zig, "c++", "-fno-sanitize=all")
