"""The framed link between host and target: `open_link` connects to whatever runs an image."""

import shutil
from pathlib import Path

from edgetrain.board import Board
from edgetrain.compiler.errors import InputError
from edgetrain.link.client import Hello, Link, RunResult
from edgetrain.link.transport import ProcessTransport, Transport
from edgetrain.link.unicorn import UnicornTransport

__all__ = ["Hello", "Link", "RunResult", "open_link"]

# `-icount shift=10` gives every instruction 1,024 ns of virtual time.
_ICOUNT_SHIFT = 10
_SECONDS_PER_INSTRUCTION = 2**_ICOUNT_SHIFT * 1e-9


def open_link(board: Board, image: Path, link: str = "auto", *, count: bool = False) -> Link:
    """Runs `image` on a board or on its best emulator here, and connects.

    `link` is auto, host, qemu, unicorn or serial:PORT[:BAUD].  QEMU counts instructions always;
    unicorn, where counting slows it down, only if `count`.
    InputError if the link cannot be had; the message says what would help.
    """
    kind, _, _rest = link.partition(":")
    if kind == "auto":
        kind = _best(board)
    if kind == "host":
        return Link(_open_host(board, image))
    if kind == "qemu":
        return Link(_open_qemu(board, image))
    if kind == "unicorn":
        return Link(UnicornTransport(board, image, count))
    raise InputError(
        f"unknown link {link!r}",
        remedy="known: auto, host, qemu, unicorn, serial:PORT[:BAUD]",
    )


def _best(board: Board) -> str:
    if board.architecture == "host":
        return "host"
    return "qemu"


def _open_host(board: Board, image: Path) -> Transport:
    if board.architecture != "host":
        raise InputError(f"{board.name} is not the host", remedy="use --link auto")
    return ProcessTransport("host", [str(image.resolve())])


def _open_qemu(board: Board, image: Path) -> Transport:
    if board.qemu is None:
        raise InputError(f"QEMU does not model {board.name}", remedy="use --link serial:PORT")
    program = shutil.which(board.qemu.program)
    if program is None:
        raise InputError(
            f"{board.qemu.program} is not installed", remedy="run `edgetrain doctor` for how"
        )
    ticks = 0.0
    if board.counter is not None:
        ticks = board.counter.hz * _SECONDS_PER_INSTRUCTION if board.counter.hz else 1.0
    command = [program, *board.qemu.args, "-icount", f"shift={_ICOUNT_SHIFT}"]
    command += ["-display", "none", "-monitor", "none", "-serial", "stdio", "-kernel", str(image)]
    return ProcessTransport("qemu", command, ticks)
