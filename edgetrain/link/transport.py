"""What carries the link's bytes, and the processes that can: the host program and QEMU."""

import os
import select
import subprocess
import tempfile
from collections.abc import Sequence
from typing import Protocol

from edgetrain.compiler.errors import InputError


class Transport(Protocol):
    """A byte stream to a target."""

    @property
    def name(self) -> str:
        """As `--link` calls it."""

    @property
    def timeout(self) -> float:
        """Seconds after which an answer counts as lost."""

    def send(self, data: bytes) -> None:
        """Sends all of `data`."""

    def receive(self, timeout: float) -> bytes:
        """At least one byte, or none after `timeout` seconds; InputError if the target is gone."""

    def instructions(self, ticks: int) -> int | None:
        """The instructions of the call that the target's counter measured as `ticks`."""

    def close(self) -> None:
        """Ends the target or lets go of it."""


class ProcessTransport:
    """A program that talks on its standard input and output."""

    # A pipe loses nothing, so that only a target that hangs or computes for long lets this pass.
    timeout = 60.0

    def __init__(self, name: str, command: Sequence[str], instruction_ticks: float = 0.0) -> None:
        """Starts `command`; an instruction is `instruction_ticks` of its counter (0: unknown)."""
        self.name = name
        self._instruction_ticks = instruction_ticks
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._messages,
                bufsize=0,
                # An interrupt at the terminal is for this program, which then ends the other.
                start_new_session=True,
            )
        except OSError as error:
            self._messages.close()
            raise InputError(f"cannot start {command[0]}: {error.strerror}") from None

    def send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        view = memoryview(data)
        try:
            while view:
                view = view[self._process.stdin.write(view) :]
        except BrokenPipeError:
            self._gone()

    def receive(self, timeout: float) -> bytes:
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], timeout)
        if not readable:
            return b""
        data = os.read(self._process.stdout.fileno(), 65536)
        if not data:
            self._gone()
        return data

    def _gone(self) -> None:
        self._process.wait()
        self._messages.seek(0)
        messages = self._messages.read().decode(errors="replace").strip().splitlines()
        raise InputError(
            f"{self.name} ended with code {self._process.returncode}",
            where=messages[-1] if messages else "",
        )

    def instructions(self, ticks: int) -> int | None:
        return round(ticks / self._instruction_ticks) if self._instruction_ticks else None

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
        self._messages.close()
