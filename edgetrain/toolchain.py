"""Compilers: finding them, and building a board's image from generated C."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from edgetrain import kernels
from edgetrain.board import COMMON, Board, ToolchainName
from edgetrain.compiler.errors import InputError
from edgetrain.image import (
    Sizes,
    frames_from_section,
    frames_from_su,
    global_symbols,
    image_sizes,
    stack_bound,
)

RUNTIME = Path(next(iter(kernels.__path__))).resolve() / "c" / "runtime"
IMAGE_FILE = "firmware.elf"

Optimise = Literal["speed", "flash", "ram"]
_LEVEL: dict[Optimise, str] = {"speed": "-O2", "flash": "-Os", "ram": "-O2"}

# Contraction, errno and aliasing (see et_ops.h) decide bits and calls; the rest drops what a
# freestanding image cannot use.
FLAGS = (
    "-std=c99",
    "-g0",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-strict-aliasing",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
    "-fomit-frame-pointer",
)
_GNU_FLAGS = ("-fstack-usage",)
_CLANG_FLAGS = ("-fstack-size-section", "-fno-crash-diagnostics")
# Zig's own defaults instrument C for undefined behaviour.
_ZIG_CC = ("cc", "-fno-sanitize=all")
STRICT = (
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wsign-conversion",
    "-Wshadow",
    "-Werror",
)


@dataclass(frozen=True)
class Toolchain:
    """A toolchain for one board: how to compile, how to link, and what it calls itself."""

    name: ToolchainName
    version: str
    compile: tuple[str, ...]
    link: tuple[str, ...]


@dataclass(frozen=True)
class Build:
    """A built image.

    `flash_bytes` and `ram_bytes` are what the model and the library routines that it calls add to a
    firmware, `stack_bytes` (the bound of any one et_ call) included in `ram_bytes`; `image_…` is
    the whole image, without stack, as `size` counts it.
    """

    image: Path
    toolchain: str
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int
    image_flash_bytes: int
    image_ram_bytes: int


def find_toolchain(board: Board, choice: str = "auto") -> Toolchain:
    """The chosen toolchain, or the first of the board's that is here; InputError if none is."""
    if choice != "auto" and choice not in get_args(ToolchainName):
        known = ", ".join(("auto", *get_args(ToolchainName)))
        raise InputError(f"unknown toolchain {choice!r}", remedy=f"known: {known}")
    if not board.toolchain:
        raise InputError(
            f"no compiler for {board.name} is known", remedy="write the sources only: --no-build"
        )
    able = [name for name in board.toolchain if choice in ("auto", name)]
    if not able:
        raise InputError(
            f"{choice} cannot build for {board.name}",
            remedy=f"choose one of: {', '.join(board.toolchain)}",
        )
    for name in able:
        found = _locate(board, name)
        if found is not None:
            return found
    raise InputError(
        f"no compiler for {board.name} is installed ({', '.join(able)})",
        remedy="run `edgetrain doctor` for the commands that install them",
    )


def build(
    board: Board,
    directory: Path,
    *,
    toolchain: str = "auto",
    optimise: Optimise = "speed",
    extra_flags: Sequence[str] = (),
) -> Build:
    """Builds `directory`/src, generated C, with the link server into `directory`/firmware.elf.

    The board's port and the server are copied into src/board, so that src builds by itself.
    InputError if the image does not fit the board, RuntimeError if the compiler refuses the C.
    """
    tools = find_toolchain(board, toolchain)
    source = directory / "src"
    stage(board, source / "board")
    names = sorted(str(path.relative_to(source)) for path in source.rglob("*.[cS]"))
    with tempfile.TemporaryDirectory(dir=directory, prefix=".build-") as scratch:
        objects = {name: Path(scratch, name.replace("/", "_") + ".o") for name in names}
        command = [*tools.compile, *FLAGS, _LEVEL[optimise], *_defines(board), *extra_flags]
        command += ["-I.", "-Iboard", *(_GNU_FLAGS if _is_gnu(tools) else _CLANG_FLAGS)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            jobs = [
                pool.submit(compile_object, [*command, "-c", name, "-o", str(path)], source)
                for name, path in objects.items()
            ]
        for job in jobs:
            job.result()
        image = Path(scratch, IMAGE_FILE)
        _link(board, tools, [*extra_flags, *map(str, objects.values())], image, source / "board")
        model = objects["edgetrain.c"]
        sizes = _footprint(board, tools, model, objects.get("board/et_libc.c"))
        frames = (
            frames_from_su(model.with_suffix(".su"))
            if _is_gnu(tools)
            else frames_from_section(model)
        )
        stack = stack_bound(model, frames)
        whole = image_sizes(image)
        os.replace(image, directory / IMAGE_FILE)
    return Build(
        image=directory / IMAGE_FILE,
        toolchain=f"{tools.name} {tools.version}",
        flash_bytes=sizes.flash,
        ram_bytes=sizes.ram + stack,
        stack_bytes=stack,
        image_flash_bytes=whole.flash,
        image_ram_bytes=whole.ram,
    )


def compile_object(command: Sequence[str], cwd: Path) -> None:
    """Runs a compiler; one that crashes is asked again for code that is less clever."""
    try:
        _run(command, cwd)
    except RuntimeError as error:
        if "frontend command failed" not in str(error):
            raise
        # Clang 22's vectoriser of straight-line code, on some functions for RISC-V.
        _run([*command, "-fno-slp-vectorize"], cwd)


def stage(board: Board, directory: Path) -> None:
    """Writes the link server, the board's port and its linker script to `directory`, afresh."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    files = [RUNTIME / name for name in ("main.c", "et_link.c", "et_link.h", "et_port.h")]
    files += [RUNTIME / "et_tables.h", *board.source_paths()]
    if board.architecture != "host":
        files += [RUNTIME / "et_libc.c", COMMON / "port.c", COMMON / "et_drivers.h"]
        files += [COMMON / board.architecture / "sections.ld", board.folder / "link.ld"]
    for path in files:
        shutil.copyfile(path, directory / path.name)


def _defines(board: Board) -> list[str]:
    if board.architecture == "host":
        return []
    values = {}
    if board.uart is not None:
        values["ET_UART_BASE"] = board.uart.base
        values["ET_UART_BAUD"] = board.uart.baud
        values["ET_UART_CLOCK"] = board.uart.clock_hz
        if board.uart.irq is not None:
            values["ET_UART_IRQ"] = board.uart.irq
    if board.counter is not None:
        values["ET_COUNTER_BASE"] = board.counter.base
    return ["-ffreestanding", *(f"-D{name}={value:#x}u" for name, value in values.items())]


def _link(board: Board, tools: Toolchain, inputs: list[str], image: Path, cwd: Path) -> None:
    arguments = [*inputs, "-o", str(image)]
    if board.architecture == "host":
        _run([*tools.link, *arguments, "-lm"], cwd)
        return
    try:
        _run_linker(tools, ["-T", "link.ld", "-Wl,-e,et_reset", *arguments], cwd)
    except RuntimeError as error:
        text = str(error)
        if any(sign in text for sign in ("overflowed", "will not fit", "do not fit")):
            raise InputError(
                f"the image does not fit {board.name}'s memory",
                where=text.strip().splitlines()[-1],
                remedy="choose a larger board or a smaller model",
            ) from None
        raise


def _footprint(board: Board, tools: Toolchain, model: Path, libc: Path | None) -> Sizes:
    """The sizes of the model's object linked by itself, with what it calls and nothing else."""
    if board.architecture == "host":
        return image_sizes(model)
    names = global_symbols(model)
    alone = model.with_suffix(".elf")
    roots = [f"-Wl,-e,{names[0]}", *(f"-Wl,-u,{name}" for name in names)]
    objects = [str(path) for path in (model, libc) if path is not None]
    _run_linker(tools, [*objects, *roots, "-o", str(alone)], model.parent)
    return image_sizes(alone)


def _run_linker(tools: Toolchain, arguments: list[str], cwd: Path) -> None:
    """Links an image that brings everything itself but the compiler's own library."""
    command = [*tools.link, "-Wl,--build-id=none", "-Wl,--gc-sections", *arguments]
    if tools.name != "zig":
        _run([*command, "-lgcc"], cwd)
        return
    # Zig compiles its library for each new target, which takes seconds; integer code needs none.
    try:
        _run([*command, "-nostdlib"], cwd)
    except RuntimeError as error:
        if "undefined symbol" not in str(error):
            raise
        _run(command, cwd)


def _is_gnu(tools: Toolchain) -> bool:
    return tools.name == "gcc"


def _locate(board: Board, name: ToolchainName) -> Toolchain | None:
    """The toolchain if it is installed."""
    flags = board.toolchain[name].flags
    if name == "zig":
        command = zig_command()
        version = ("version",)
    elif name == "gcc":
        command = _which(board.toolchain[name].prefix + "gcc")
        version = ("-dumpfullversion",)
    else:
        command = _which("clang", "clang-19")
        version = ("-dumpversion",)
    if command is None:
        return None
    compile_command = link_command = (
        (*command, *_ZIG_CC, *flags) if name == "zig" else (*command, *flags)
    )
    if board.architecture != "host" and name != "zig":
        # GNU ld links for Clang too: it knows where the compiler's library for this core is.
        own = board.toolchain[name]
        gnu = own if own.link else board.toolchain["gcc"]
        linker = _which(gnu.prefix + "gcc")
        if linker is None:
            return None
        link_command = (*linker, *(own.link or gnu.flags), "-nostdlib")
    return Toolchain(
        name, _run([*command, *version], Path.cwd()).strip(), compile_command, link_command
    )


def zig_command() -> tuple[str, ...] | None:
    """Zig as PyPI's `ziglang` brings it, if it is installed."""
    spec = importlib.util.find_spec("ziglang")
    if spec is None or spec.origin is None:
        return None
    return (str(Path(spec.origin).parent / "zig"),)


def _which(*names: str) -> tuple[str, ...] | None:
    return next(((path,) for path in map(shutil.which, names) if path is not None), None)


def _run(command: Sequence[str], cwd: Path) -> str:
    """Runs a tool and returns what it printed; RuntimeError with its messages if it fails."""
    done = subprocess.run(
        command, cwd=cwd, env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{Path(command[0]).name} failed: {done.stderr.strip()}")
    return done.stdout


def _environment() -> dict[str, str]:
    """The environment of every tool: messages in English, and zig's cache out of the way."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
        root = cache / "edgetrain" / "zig"
        root.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # no home, or one that is not ours
        root = Path(tempfile.gettempdir(), f"edgetrain-zig-{os.getuid()}")
    return {
        "ZIG_GLOBAL_CACHE_DIR": str(root),
        "ZIG_LOCAL_CACHE_DIR": str(root),
        **os.environ,
        "LC_ALL": "C",
    }
