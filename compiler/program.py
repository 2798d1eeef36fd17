"""What every executor runs: ordered calls over buffers with addresses, grouped into entries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.expr import Expr
from edgetrain.compiler.interface import InputCode, OutputCode
from edgetrain.compiler.layout import ROW_MAJOR, Layout, storage_dtype
from edgetrain.compiler.nest import Nest
from edgetrain.compiler.types import TensorType

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

    def entry(self, name: str) -> Entry:
        return next(entry for entry in self.entries if entry.name == name)

    def of_kind(self, kind: str) -> tuple[Buffer, ...]:
        """The buffers of `kind` that own memory, in program order."""
        return tuple(b for b in self.buffers.values() if b.kind == kind and not b.home)

    @property
    def weights_bytes(self) -> int:
        """Bytes of all constants as stored."""
        return sum(b.bytes for b in self.of_kind("constant"))

    @property
    def state_bytes(self) -> int:
        return sum(b.bytes for b in self.of_kind("state"))


def elements(buffer: Buffer, raw: bytes) -> NDArray[Any]:
    """The tensor that `raw` holds, in the storage type and row-major layout of the link."""
    dtype = storage_dtype(buffer.type.scalar).newbyteorder("<")
    return np.frombuffer(raw, dtype).reshape(buffer.type.shape)
