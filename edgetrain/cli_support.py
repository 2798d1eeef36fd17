"""What all verbs share: options, where output goes, and which exit code an error becomes."""

import functools
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from edgetrain.compiler.errors import InputError

DONE, FAULT, INPUT, MISMATCH = range(4)
# As a shell reports a process that a signal has ended.
INTERRUPTED, BROKEN_PIPE = 128 + 2, 128 + 13

_WIDTH_OF_FILES = 120


seed_option = click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True
)
output_option = click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="FILE"
)


@dataclass(frozen=True)
class Answer:
    """What a verb found: `data` for scripts, `text` for people, and the exit code.

    `complaint` goes to stderr.
    """

    data: Mapping[str, Any]
    text: RenderableType
    code: int = DONE
    complaint: str = ""


class ReaderLeft(Exception):
    """Nobody reads stdout any more.  (Of a broken pipe itself click makes an exit code 1.)"""


class Terminal:
    """stdout for data, stderr for everything else."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self._json = as_json
        self._quiet = quiet
        self._messages = Console(stderr=True, highlight=False)

    def say(self, message: str) -> None:
        """A message for people."""
        if not self._quiet:
            self._messages.print(message, markup=False, soft_wrap=True)

    def show(self, answer: Answer) -> None:
        """The answer, on stdout."""
        if self._json:
            text = json.dumps(answer.data, allow_nan=False) + "\n"
        else:
            console = Console(highlight=False)
            if not console.is_terminal:
                console.width = _WIDTH_OF_FILES
            with console.capture() as capture:
                console.print(answer.text)
            text = capture.get()
        try:
            click.echo(text, nl=False)
        except BrokenPipeError as error:
            raise ReaderLeft from error

    @contextmanager
    def working(self, what: str) -> Iterator[Callable[[str, int, int], None]]:
        """A bar on a terminal while the block runs.

        What it yields may be called with a stage, the steps done and the steps in all.
        """
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        hidden = self._quiet or not self._messages.is_terminal
        with Progress(*columns, console=self._messages, transient=True, disable=hidden) as progress:
            task = progress.add_task(what, total=None)

            def advance(stage: str, done: int, total: int) -> None:
                progress.update(task, description=stage, completed=done, total=total)

            yield advance


def terminal() -> Terminal:
    """The running verb's."""
    found: Terminal = click.get_current_context().obj
    return found


Verb = Callable[..., Answer]


def verb(*examples: str, name: str | None = None) -> Callable[[Verb], click.Command]:
    """Makes the decorated function a command with --json, --quiet and its examples."""

    def decorate(function: Verb) -> click.Command:
        @functools.wraps(function)
        def run(as_json: bool, quiet: bool, **arguments: Any) -> None:
            context = click.get_current_context()
            context.obj = Terminal(as_json=as_json, quiet=quiet)
            answer = function(**arguments)
            context.obj.show(answer)
            if answer.complaint:
                _complain(answer.complaint)
            context.exit(answer.code)

        epilog = "\b\nExample:\n" + "\n".join(f"  {example}" for example in examples)
        command = click.command(name, epilog=epilog)(run)
        command.params += [
            click.Option(["--json", "as_json"], is_flag=True, help="One JSON object on stdout."),
            click.Option(["-q", "--quiet"], is_flag=True, help="No messages, no progress bar."),
        ]
        return command

    return decorate


def run(group: click.Group, arguments: Sequence[str] | None, program: str) -> int:
    """Runs the command line; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        # Names of files need not be UTF-8.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = group.main(arguments, program, standalone_mode=False)
    except (KeyboardInterrupt, click.Abort):
        _complain("interrupted")
        return INTERRUPTED
    except ReaderLeft:
        _drop_unwritten()
        return BROKEN_PIPE
    except click.ClickException as error:
        path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
        message = error.format_message().rstrip(".")
        _complain(message + (f"; see `{path} --help`" if path else ""))
        return INPUT
    except InputError as error:
        _trace()
        _complain(str(error))
        return INPUT
    except OSError as error:
        _trace()
        where = f"{error.filename}: " if error.filename else ""
        _complain(f"{where}{error.strerror or error}")
        _drop_unwritten()
        return INPUT
    except Exception as error:
        if not _trace():
            _complain(
                f"this is a fault of the program: {type(error).__name__}: {error}; "
                "set EDGETRAIN_DEBUG=1 to see where, and report it"
            )
        return FAULT
    return code if isinstance(code, int) else DONE


def _drop_unwritten() -> None:
    """What stdout does not take now it will not take when Python ends, which would complain too."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str) -> None:
    """One line on stderr, whatever characters are in the message."""
    flat = "".join(
        c if c.isprintable() else " " if c == "\n" else f"\\x{ord(c):02x}" for c in message
    )
    click.echo(f"edgetrain: {flat}", err=True)


def _trace() -> bool:
    """Prints where the current exception comes from, if that is wanted."""
    wanted = os.environ.get("EDGETRAIN_DEBUG", "0") not in ("", "0")
    if wanted:
        traceback.print_exc()
    return wanted
