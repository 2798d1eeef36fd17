"""Boards as data: `boards/<name>/board.toml`, checked on loading (docs/boards.md: the format)."""

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from edgetrain import boards
from edgetrain.compiler.errors import InputError

BOARDS = Path(next(iter(boards.__path__))).resolve()
COMMON = BOARDS / "common"


@dataclass(frozen=True)
class Memory:
    """One memory: first address and length in bytes."""

    origin: int
    size: int


@dataclass(frozen=True)
class Memories:
    """Where constants and code, and where data goes."""

    flash: Memory
    ram: Memory


@dataclass(frozen=True)
class Uart:
    """The link's UART: `driver` is the file boards/common/uart/<driver>.c.

    It takes the others as ET_UART_BASE, ET_UART_CLOCK, ET_UART_BAUD and ET_UART_IRQ; without `irq`
    the firmware polls.
    """

    driver: str
    base: int
    baud: int = 115_200
    clock_hz: int = 0
    irq: int | None = None


@dataclass(frozen=True)
class Counter:
    """What et_counter() reads: `driver` is the file boards/common/counter/<driver>.c.

    It counts `hz` ticks a second; where `hz` is 0 it counts instructions itself.  `base` becomes
    ET_COUNTER_BASE.
    """

    driver: str
    base: int = 0
    hz: int = 0


@dataclass(frozen=True)
class Compiler:
    """How one toolchain compiles for the board: flags, and the prefix of GNU programs' names.

    Clang links with the GCC of that prefix and the flags `link`, else as `toolchain.gcc` does.
    """

    flags: tuple[str, ...]
    prefix: str = ""
    link: tuple[str, ...] = ()


ToolchainName = Literal["zig", "gcc", "clang"]
SimulatorName = Literal["rtlsim", "csim"]


@dataclass(frozen=True)
class Qemu:
    """The QEMU program and the arguments that select machine and CPU."""

    program: str
    args: tuple[str, ...]


@dataclass(frozen=True)
class Unicorn:
    """Unicorn's CPU model by its name in `edgetrain.link.unicorn`.

    `ready`: registers that shall read as all ones, because the firmware waits for a bit of them.
    """

    cpu: str
    ready: tuple[int, ...] = ()


@dataclass(frozen=True)
class Flasher:
    """The commands that bring an image to the board, in order; `{elf}` stands for the image.

    Each is a program and its arguments.
    """

    commands: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Board:
    """One target.  `features` is what kernels ask for: instruction-set extensions and arithmetic.

    `toolchain` lists those that can build for the board, the preferred one first.  An FPGA has
    none; it has a `part`, as its vendor calls it, and `simulators`, the best one first.
    """

    name: str
    description: str
    architecture: Literal["host", "cortex_m", "riscv", "fpga"]
    core: str
    silicon: Literal["emulated only", "not compiled", "not tried", "tried"]
    features: tuple[str, ...]
    toolchain: Mapping[ToolchainName, Compiler]
    sources: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    memory: Memories | None = None
    uart: Uart | None = None
    counter: Counter | None = None
    qemu: Qemu | None = None
    unicorn: Unicorn | None = None
    flasher: Flasher | None = None
    part: str = ""
    simulators: tuple[SimulatorName, ...] = ()
    folder: Path = field(default=BOARDS, metadata={"derived": True})

    @property
    def emulators(self) -> tuple[str, ...]:
        """The links by which the board can be run without it, the best one first."""
        models = {"qemu": self.qemu, "unicorn": self.unicorn}
        return (*(name for name, model in models.items() if model is not None), *self.simulators)

    def source_paths(self) -> tuple[Path, ...]:
        """The port's files: those of the board's own folder before the shared ones."""
        names = list(self.sources)
        if self.uart is not None:
            names.append(f"uart/{self.uart.driver}.c")
        if self.architecture in ("cortex_m", "riscv"):
            names.append(f"counter/{self.counter.driver if self.counter else 'none'}.c")
        found = []
        for name in names:
            own = self.folder / name
            found.append(own if own.is_file() else COMMON / name)
        return tuple(found)


def load_board(name: str) -> Board:
    """The board of this name or alias; InputError with the known names otherwise."""
    for board in all_boards():
        if name == board.name or name in board.aliases:
            return board
    known = ", ".join(board.name for board in all_boards())
    raise InputError(f"unknown board {name!r}", remedy=f"known: {known}")


@cache
def all_boards() -> tuple[Board, ...]:
    """Every board, by name."""
    return tuple(read_board(path.parent) for path in sorted(BOARDS.glob("*/board.toml")))


def read_board(folder: Path) -> Board:
    """Reads `folder`/board.toml; InputError for anything unknown, missing or of the wrong type."""
    path = folder / "board.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"unreadable board file: {error}", where=str(path)) from None
    board: Board = dataclasses.replace(_convert(Board, table, str(path)), folder=folder)
    if board.name != folder.name:
        raise InputError(f"name {board.name!r} is not its folder's name", where=str(path))
    if (board.architecture == "fpga") != bool(board.part):
        raise InputError("an FPGA has a part, and nothing else has one", where=str(path))
    clang = board.toolchain.get("clang")
    if clang is not None and not clang.link and "gcc" not in board.toolchain:
        raise InputError("no toolchain.gcc: toolchain.clang.link is missing", where=str(path))
    for source in board.source_paths():
        if not source.is_file():
            raise InputError(f"no such source: {source.name}", where=str(path))
    return board


def _convert(kind: Any, value: Any, where: str) -> Any:
    """`value` as TOML gives it, as `kind`: dataclass, optional, tuple, mapping, literal, scalar."""
    origin = typing.get_origin(kind)
    if origin is types.UnionType:
        return _convert(typing.get_args(kind)[0], value, where)
    if origin is Literal:
        if value not in typing.get_args(kind):
            choices = ", ".join(typing.get_args(kind))
            raise InputError(f"{value!r} is not one of: {choices}", where=where)
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise InputError("expected a list", where=where)
        return tuple(_convert(typing.get_args(kind)[0], item, where) for item in value)
    if origin is Mapping:
        key_kind, value_kind = typing.get_args(kind)
        if not isinstance(value, dict):
            raise InputError("expected a table", where=where)
        return {
            _convert(key_kind, key, where): _convert(value_kind, item, f"{where}: {key}")
            for key, item in value.items()
        }
    if dataclasses.is_dataclass(kind):
        return _convert_table(kind, value, where)
    if type(value) is not kind:
        raise InputError(f"expected {kind.__name__}, got {value!r}", where=where)
    return value


def _convert_table(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise InputError("expected a table", where=where)
    types_of = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind) if "derived" not in f.metadata}
    for key in value:
        if key not in fields:
            raise InputError(
                f"unknown key {key!r}", where=where, remedy=f"known: {', '.join(fields)}"
            )
    for name, each in fields.items():
        required = each.default is dataclasses.MISSING
        if required and name not in value:
            raise InputError(f"missing key {name!r}", where=where)
    return kind(**{k: _convert(types_of[k], v, f"{where}: {k}") for k, v in value.items()})
