"""The framed link between host and target: `open_link` connects to whatever runs an image."""

import importlib.util
import shutil
from collections.abc import Sequence
from pathlib import Path

from edgetrain.board import Board
from edgetrain.compiler.errors import InputError
from edgetrain.link.client import Hello, Link, RunResult
from edgetrain.link.serial import SerialTransport
from edgetrain.link.transport import ProcessTransport, Transport
from edgetrain.link.unicorn import UnicornTransport

__all__ = ["Hello", "Link", "RunResult", "open_link"]

# `-icount shift=10` gives every instruction 1,024 ns of virtual time.
_ICOUNT_SHIFT = 10
_SECONDS_PER_INSTRUCTION = 2**_ICOUNT_SHIFT * 1e-9


# How long a real board may compute before its answer counts as lost.
_SERIAL_TIMEOUT = 10.0

_KNOWN = "known: auto, host, qemu, unicorn, rtlsim, csim, serial:PORT[:BAUD]"


def open_link(
    board: Board,
    image: Path,
    link: str = "auto",
    *,
    count: bool = False,
    emulator_arguments: Sequence[str] = (),
) -> Link:
    """Runs `image` on a board or on its best emulator here, and connects.

    `link` is auto, host, qemu, unicorn, rtlsim, csim or serial:PORT[:BAUD]; on a serial port the
    image is taken to be on the board already.  QEMU counts instructions always; unicorn, where
    counting is slow, only if `count`.  QEMU is given `emulator_arguments` too.  InputError if the
    link cannot be had; the message says what would help.
    """
    kind, _, rest = link.partition(":")
    if kind == "serial" and rest:
        return Link(_open_serial(board, rest))
    if link == "auto":
        link = best_link(board)
    if link != "host" and board.architecture == "host":
        raise InputError("the host is its own target", where=f"link {link}", remedy="use host")
    if link == "host":
        return Link(_open_host(board, image))
    if link in ("rtlsim", "csim"):
        return Link(_open_circuit(board, image, link))
    if link == "qemu":
        return Link(_open_qemu(board, image, emulator_arguments))
    if link == "unicorn":
        return Link(UnicornTransport(board, image, count))
    raise InputError(f"unknown link {link!r}", remedy=_KNOWN)


def best_link(board: Board) -> str:
    """The best link that is here: the host itself, else QEMU, else unicorn; InputError if none."""
    if board.architecture == "host":
        return "host"
    if board.qemu is not None and shutil.which(board.qemu.program):
        return "qemu"
    if board.unicorn is not None and importlib.util.find_spec("unicorn"):
        return "unicorn"
    if board.qemu is None:
        raise InputError(
            f"no emulator models {board.name}", remedy="flash the board and use --link serial:PORT"
        )
    raise InputError(
        f"no emulator of {board.name} is installed ({board.qemu.program})",
        remedy="run `edgetrain doctor` for the commands that install one",
    )


def _open_host(board: Board, image: Path) -> Transport:
    if board.architecture != "host":
        raise InputError(f"{board.name} is not the host", remedy="use --link auto")
    return ProcessTransport("host", [str(image.resolve())])


def _open_circuit(board: Board, image: Path, link: str) -> Transport:
    if link not in board.simulators:
        raise InputError(f"{board.name} is no circuit", remedy="use --link auto")
    return ProcessTransport(link, [str(image.resolve())], instruction_ticks=float(link == "rtlsim"))


def _open_qemu(board: Board, image: Path, more: Sequence[str]) -> Transport:
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
    command += ["-display", "none", "-monitor", "none", "-serial", "stdio", *more]
    command += ["-kernel", str(image)]
    return ProcessTransport("qemu", command, ticks)


def _open_serial(board: Board, rest: str) -> Transport:
    """PORT[:BAUD]; pyserial's URLs (socket://host:port) have colons of their own, and no speed."""
    port, _, baud = rest.rpartition(":")
    if not port or not baud.isdecimal() or "://" in port:
        port, baud = rest, str(board.uart.baud if board.uart is not None else 115_200)
    return SerialTransport(port, int(baud), _SERIAL_TIMEOUT)
