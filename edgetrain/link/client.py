"""The host's side of the link."""

import struct
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from edgetrain.compiler.errors import InputError
from edgetrain.link.codec import DELIMITER, Frame, FrameError, decode, encode
from edgetrain.link.transport import Transport

LINK_VERSION = 1
ATTEMPTS = 20  # of one request, over a line that damages frames
SILENCES = 3  # attempts without any answer: the line is dead
FIRST_PATIENCE = 0.25  # seconds for the first answer: a target that still starts has missed HELLO
ANSWER = 0x80
NOT_COUNTED = 0xFFFFFFFF
CHUNK = 240  # bytes of state a request; every target takes 250

HELLO, ENTRY, TENSOR, RUN, READ_STATE, WRITE_STATE, RESET, STACK, EXIT = range(9)
OK, REFUSED, BAD_COMMAND, BAD_ARGUMENT, BAD_FRAME, FAULT = range(6)
_STATUS = {
    BAD_COMMAND: "it does not know the command",
    BAD_ARGUMENT: "it refuses the arguments",
}


@dataclass(frozen=True)
class Hello:
    """What a target says of itself: sizes in bytes, entries and state tensors in program order."""

    version: str
    model_hash: bytes
    entries: tuple[tuple[int, int], ...]
    tensors: tuple[int, ...]


@dataclass(frozen=True)
class RunResult:
    """One call: status 0 is done, 1 is input refused and nothing changed.

    `output` holds the outputs one after another, little-endian; `instructions` is None where the
    link does not count.  Of a circuit they are cycles of its clock.
    """

    status: int
    output: bytes
    instructions: int | None


class Link:
    """A connection to a target that runs the link server; a context manager."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._sequence = 0
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends an emulator, lets go of a board."""
        self._transport.close()

    @property
    def name(self) -> str:
        """The kind of link: "qemu", "unicorn", "host", "serial", "rtlsim" or "csim"."""
        return self._transport.name

    @property
    def counts_cycles(self) -> bool:
        """Whether `instructions` is of cycles instead."""
        return self.name == "rtlsim"

    @property
    def counts_comparable(self) -> bool:
        """Whether `instructions` is an exact count that may be compared between runs and boards."""
        return self.name == "qemu"

    def hello(self) -> Hello:
        """Identifies the target; begins a new series of requests."""
        data = self._ask(HELLO)
        version, model_hash, entries, tensors = struct.unpack_from("<H32sHH", data)
        if version != LINK_VERSION:
            raise InputError(
                f"the target speaks version {version} of the link, this program {LINK_VERSION}",
                remedy="build and flash the image again",
            )
        return Hello(
            version=data[38:].decode("ascii", "replace"),
            model_hash=model_hash,
            entries=tuple(
                struct.unpack("<II", self._ask(ENTRY, struct.pack("<H", i))) for i in range(entries)
            ),
            tensors=tuple(
                struct.unpack("<I", self._ask(TENSOR, struct.pack("<H", i)))[0]
                for i in range(tensors)
            ),
        )

    def run(self, entry: int, data: bytes) -> RunResult:
        """Calls an entry with its inputs, packed one after another in their C types."""
        status, answer = self._exchange(RUN, struct.pack("<H", entry) + data)
        if status == REFUSED:
            return RunResult(status, b"", None)
        self._check(status, RUN)
        (ticks,) = struct.unpack_from("<I", answer)
        counted = None if ticks == NOT_COUNTED else self._transport.instructions(ticks)
        return RunResult(status, answer[4:], counted)

    def read_state(self, tensor: int) -> bytes:
        """All bytes of a state tensor."""
        size = self._tensor_bytes(tensor)
        parts = []
        for offset in range(0, size, CHUNK):
            n = min(CHUNK, size - offset)
            parts.append(self._ask(READ_STATE, struct.pack("<HIH", tensor, offset, n)))
        return b"".join(parts)

    def write_state(self, tensor: int, data: bytes) -> None:
        """Overwrites a state tensor; `data` must have its size."""
        size = self._tensor_bytes(tensor)
        if len(data) != size:
            raise InputError(f"state tensor {tensor} has {size} bytes, not {len(data)}")
        for offset in range(0, size, CHUNK):
            part = data[offset : offset + CHUNK]
            self._ask(WRITE_STATE, struct.pack("<HI", tensor, offset) + part)

    def reset(self) -> None:
        """Puts the state back to its initial values and forgets the stack's high-water mark."""
        self._ask(RESET)

    def stack_bytes(self) -> int | None:
        """The most stack that any run has used since the reset; None where it is not measured."""
        status, data = self._exchange(STACK, b"")
        if status == BAD_COMMAND:
            return None
        self._check(status, STACK)
        return int(struct.unpack("<I", data)[0])

    def _tensor_bytes(self, tensor: int) -> int:
        return int(struct.unpack("<I", self._ask(TENSOR, struct.pack("<H", tensor)))[0])

    def _ask(self, command: int, payload: bytes = b"") -> bytes:
        status, answer = self._exchange(command, payload)
        self._check(status, command)
        return answer

    def _check(self, status: int, command: int) -> None:
        if status != OK:
            reason = _STATUS.get(status, f"status {status}")
            raise InputError(f"the target refused request {command}: {reason}", where=self.name)

    def _exchange(self, command: int, payload: bytes) -> tuple[int, bytes]:
        """Sends a request until its answer arrives: the answer's status and data.

        A repeat carries the same sequence number, so that the target never acts twice.
        """
        self._sequence = (self._sequence + 1) % 256
        request = encode(Frame(self._sequence, command, payload))
        silences, patience = 0, self._transport.timeout
        if command == HELLO:
            patience = min(FIRST_PATIENCE, patience)
        for attempt in range(ATTEMPTS):
            # The delimiter ends whatever noise or half frame came before.
            self._transport.send(request if attempt == 0 else DELIMITER + request)
            try:
                answer = self._await(command | ANSWER, patience)
            except TimeoutError:
                silences += 1
                if silences >= SILENCES and patience >= self._transport.timeout:
                    break
                patience = min(2 * patience, self._transport.timeout)
                continue
            if answer is not None:
                return answer.payload[0], answer.payload[1:]
        raise InputError(
            f"no valid answer after {attempt + 1} attempts",
            where=self.name,
            remedy="check that the image is on the target, the port and its speed",
        )

    def _await(self, command: int, timeout: float) -> Frame | None:
        """The answer to the last request; None if it or the request was damaged."""
        while True:
            try:
                answer = decode(self._receive(timeout))
            except FrameError:
                return None
            if answer.payload == bytes([BAD_FRAME]):
                return None
            if answer.payload == bytes([FAULT]):
                raise InputError(
                    "the firmware ran into a fault of the processor",
                    where=self.name,
                    remedy="its stack may be too small: see et_stack_size in the board's link.ld",
                )
            # Any other is a late answer to a request that was repeated.
            if answer.sequence == self._sequence and answer.command == command:
                return answer

    def _receive(self, timeout: float) -> bytes:
        """The next frame's bytes without its delimiter; TimeoutError if none comes."""
        while DELIMITER not in self._received:
            data = self._transport.receive(timeout)
            if not data:
                self._received = b""
                raise TimeoutError
            self._received += data
        frame, self._received = self._received.split(DELIMITER, 1)
        return frame if frame else self._receive(timeout)
