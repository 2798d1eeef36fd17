"""What every executor runs: ordered calls over buffers with addresses, grouped into entries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.expr import Expr
from edgetrain.compiler.interface import InputCode, OutputCode
from edgetrain.compiler.layout import ROW_MAJOR, Layout
from edgetrain.compiler.nest import Nest
from edgetrain.compiler.types import TensorType

PACKED_BITS = (None, 1, 2, 4)
TRAINING = "train_step"
"""The entry that learns, where there is one."""
KINDS = ("input", "output", "constant", "state", "arena")


@dataclass(frozen=True, slots=True)
class Buffer:
    """Where one value lives.

    `kind`: `input` and `output` belong to the caller, `constant` to flash, `state` keeps its
    elements between runs, `arena` is scratch at `offset` bytes.  `home` names the state buffer that
    the next value of a state overwrites in place.
    """

    name: str
    type: TensorType
    kind: str
    layout: Layout = ROW_MAJOR
    offset: int = 0
    home: str = ""

    @property
    def bytes(self) -> int:
        return self.layout.bytes(self.type)

    @property
    def length(self) -> int:
        """Stored elements: words where it is packed."""
        return self.layout.length(self.type)


@dataclass(frozen=True, slots=True)
class Call:
    """One nest over buffers, by name: an operand a read, a result an output.

    `point` is schedule: of a dim, only the turn given by the expression changes anything in place,
    so a printer may run that turn alone.
    """

    op: str
    nest: Nest
    kernel: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    point: tuple[tuple[str, Expr], ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One function of the device: `infer`, `can_frame` …

    `input_names` and `output_names` are what its interface calls the buffers `inputs` and
    `outputs`.  `updates`: pairs (state, value that takes its place when the entry is done).
    `finite_inputs`: NaN and infinity are refused, changing nothing.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    calls: tuple[Call, ...]
    updates: tuple[tuple[str, str], ...] = ()
    finite_inputs: bool = False


@dataclass(frozen=True)
class Program:
    """Entries over shared buffers; `constants` and `initial` (states) hold elements by name.

    Sound by construction: raises ValueError naming the buffer or entry at fault otherwise.

    `arena_bound` is the largest set of bytes live at once, which no plan can beat.
    `metadata` travels along for host tools (class names, alarm threshold).
    """

    target: str
    buffers: Mapping[str, Buffer]
    entries: tuple[Entry, ...]
    constants: Mapping[str, NDArray[Any]]
    initial: Mapping[str, NDArray[Any]]
    arena_bytes: int
    arena_bound: int
    input_code: InputCode
    output_code: OutputCode
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, buffer in self.buffers.items():
            if name != buffer.name:
                raise ValueError(f"buffer {name} is named {buffer.name}")
            self._check_buffer(buffer)
        if len({entry.name for entry in self.entries}) != len(self.entries):
            raise ValueError("two entries share a name")
        for entry in self.entries:
            self._check_entry(entry)

    def _check_buffer(self, buffer: Buffer) -> None:
        name, rank = buffer.name, len(buffer.type.shape)
        if buffer.kind not in KINDS:
            raise ValueError(f"buffer {name}: no kind {buffer.kind!r}")
        if sorted(buffer.layout.axes(rank)) != list(range(rank)):
            raise ValueError(f"buffer {name}: its order does not fit its shape")
        if buffer.layout.bits not in PACKED_BITS:
            raise ValueError(f"buffer {name}: no fields of {buffer.layout.bits} bits")
        if buffer.kind == "arena" and not 0 <= buffer.offset <= self.arena_bytes - buffer.bytes:
            raise ValueError(f"buffer {name}: leaves the arena")
        if buffer.home:
            home = self.buffers.get(buffer.home)
            like = ("state", buffer.type, buffer.layout)
            if home is None or (home.kind, home.type, home.layout) != like:
                raise ValueError(f"buffer {name}: {buffer.home!r} is no state like it")
        held = {"constant": self.constants, "state": self.initial}.get(buffer.kind)
        if held is not None and not buffer.home and name not in held:
            raise ValueError(f"buffer {name}: has no elements")

    def _check_entry(self, entry: Entry) -> None:
        known = {*entry.inputs, *self.constants, *self.initial}
        if not self.buffers.keys() >= known:
            raise ValueError(f"entry {entry.name}: an input has no buffer")
        for call in entry.calls:
            nest = call.nest
            wanted = [read.type for read in nest.reads]
            made = [nest.out_type(out) for out in nest.outs]
            if not known.issuperset(call.inputs) or self._types(call.inputs) != wanted:
                raise ValueError(f"entry {entry.name}: operands do not fit {call.op}")
            if known.intersection(call.outputs) or self._types(call.outputs) != made:
                raise ValueError(f"entry {entry.name}: results do not fit {call.op}")
            if not {dim for dim, _ in call.point} <= nest.sizes.keys():
                raise ValueError(f"entry {entry.name}: {call.op} lacks a dim")
            known.update(call.outputs)
        if not known.issuperset((*entry.outputs, *(following for _, following in entry.updates))):
            raise ValueError(f"entry {entry.name}: a result is never computed")
        for state, following in entry.updates:
            if state not in self.initial or self._types([state]) != self._types([following]):
                raise ValueError(f"entry {entry.name}: {following} does not fit {state}")

    def _types(self, names: Sequence[str]) -> list[TensorType | None]:
        return [self.buffers[n].type if n in self.buffers else None for n in names]

    def entry(self, name: str) -> Entry:
        return next(entry for entry in self.entries if entry.name == name)

    def of_kind(self, kind: str) -> tuple[Buffer, ...]:
        """The buffers of `kind` that own memory, in program order."""
        return tuple(b for b in self.buffers.values() if b.kind == kind and not b.home)

    @property
    def weights_bytes(self) -> int:
        """Bytes of all constants as stored, and of what an entry reads and another one learns."""
        read = {n for e in self.entries if not e.updates for c in e.calls for n in c.inputs}
        learned = (b for b in self.of_kind("state") if b.name in read)
        return sum(b.bytes for b in (*self.of_kind("constant"), *learned))

    @property
    def state_bytes(self) -> int:
        return sum(b.bytes for b in self.of_kind("state"))


def elements(buffer: Buffer, memory: bytes) -> NDArray[Any]:
    """The tensor that lies in `memory` as a target, which is little-endian, has it."""
    stored = buffer.layout.dtype(buffer.type).newbyteorder("<")
    return buffer.layout.restore(buffer.type, np.frombuffer(memory, stored))


def pack(buffer: Buffer, array: NDArray[Any]) -> bytes:
    """What a target has in memory for the tensor `array`."""
    stored = buffer.layout.dtype(buffer.type).newbyteorder("<")
    return buffer.layout.arrange(buffer.type, array).astype(stored).tobytes()
