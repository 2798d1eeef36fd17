"""The parameters in the file `checkpoint` of onnxruntime's training artifacts.

It is a FlatBuffer: tables of fields at offsets, found through a vtable each.  The bytes are
untrusted, so that every offset is checked before it is followed.  Fields are as onnxruntime's
schemas have them (ort_training_checkpoint.fbs, ort.fbs).
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.onnx_io.file import MAX_ELEMENTS, MAX_FILE_BYTES, MAX_NODES, label

_IDENTIFIER = b"ODTC"
_FLOAT = 1
_MODULE_STATE = 1
_TRAINED, _FROZEN = 0, 1
_NAME, _DIMS, _ELEMENT, _RAW = 0, 2, 3, 4
_REMEDY = "generate the training artifacts anew"


class _DamagedError(ValueError):
    """The bytes are no such FlatBuffer."""


@dataclass(frozen=True, slots=True)
class _Table:
    """A table at `position` of `data`."""

    data: bytes
    position: int

    def _number(self, form: str, position: int) -> int:
        if not 0 <= position <= len(self.data) - struct.calcsize(form):
            raise _DamagedError
        number: int = struct.unpack_from(form, self.data, position)[0]
        return number

    def _field(self, field: int) -> int | None:
        """Where the field is; None where it is left out."""
        vtable = self.position - self._number("<i", self.position)
        entry = 4 + 2 * field
        if entry >= self._number("<H", vtable):
            return None
        offset = self._number("<H", vtable + entry)
        return self.position + offset if offset else None

    def number(self, field: int) -> int:
        """A 32-bit number, 0 where it is left out."""
        position = self._field(field)
        return 0 if position is None else self._number("<i", position)

    def table(self, field: int) -> "_Table | None":
        position = self._field(field)
        return None if position is None else self._follow(position)

    def _follow(self, position: int) -> "_Table":
        return _Table(self.data, position + self._number("<I", position))

    def vector(self, field: int, size: int) -> bytes:
        """The bytes of a vector of elements of `size` bytes."""
        position = self._field(field)
        if position is None:
            return b""
        start = self._follow(position).position
        length = self._number("<I", start) * size
        if length > len(self.data) - start - 4:
            raise _DamagedError
        return self.data[start + 4 : start + 4 + length]

    def tables(self, field: int) -> "list[_Table]":
        count = len(self.vector(field, 4)) // 4
        if count > MAX_NODES:
            raise _DamagedError
        position = self._field(field)
        if position is None:
            return []
        first = self._follow(position).position + 4
        return [self._follow(first + 4 * i) for i in range(count)]


def read_checkpoint(path: Path) -> dict[str, NDArray[np.float32]]:
    """The parameters by name, frozen ones too.  Raises InputError."""
    where = str(path)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"more than {MAX_FILE_BYTES} bytes", where=where)
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(
            "cannot be read", where=where, remedy="keep it beside the training graph"
        ) from error
    try:
        if data[4:8] != _IDENTIFIER:
            raise _DamagedError
        state = _Table(data, struct.unpack_from("<I", data)[0]).table(_MODULE_STATE)
        if state is None:
            raise _DamagedError
        found: dict[str, NDArray[np.float32]] = {}
        for tensor in (*state.tables(_TRAINED), *state.tables(_FROZEN)):
            name = tensor.vector(_NAME, 1).decode("utf-8", "backslashreplace")
            if name in found:
                raise _DamagedError
            found[name] = _array(tensor, f"{where}: parameter {label(name)}")
        return found
    except (_DamagedError, struct.error) as error:
        raise InputError("not a checkpoint of onnxruntime", where=where, remedy=_REMEDY) from error


def _array(tensor: _Table, where: str) -> NDArray[np.float32]:
    if tensor.number(_ELEMENT) != _FLOAT:
        raise InputError("is not float32", where=where, remedy=_REMEDY)
    dims = np.frombuffer(tensor.vector(_DIMS, 8), "<i8").tolist()
    size = 1
    for length in dims:
        size *= length
        if length < 1 or size > MAX_ELEMENTS:
            raise InputError(f"dims {dims[:8]} are not possible", where=where, remedy=_REMEDY)
    raw = tensor.vector(_RAW, 1)
    if len(raw) != 4 * size:
        raise InputError(
            "holds no elements, or others than its dims say",
            where=where,
            remedy="generate the training artifacts with their parameters in one file",
        )
    array = np.frombuffer(raw, "<f4").astype(np.float32).reshape(dims)
    if not np.isfinite(array).all():
        raise InputError("holds NaN or infinity", where=where, remedy="check the training")
    return array
