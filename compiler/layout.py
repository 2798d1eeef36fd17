"""How the elements of a buffer lie in memory: storage type, order of the axes, packing."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.types import Float, Int, Scalar, TensorType

WORD_BITS = 32


def storage_dtype(scalar: Scalar) -> np.dtype[Any]:
    """The smallest NumPy (and C) type of 8, 16, 32 or 64 bits that holds `scalar`."""
    if isinstance(scalar, Float):
        return np.dtype(f"float{scalar.bits}")
    for bits in (8, 16, 32, 64):
        if scalar.bits <= bits and (scalar.signed or scalar.bits < 64):
            return np.dtype(f"{'int' if scalar.signed else 'uint'}{bits}")
    raise AssertionError(f"{scalar} was refused when it was made")


@dataclass(frozen=True, slots=True)
class Layout:
    """`order`: the axes from the slowest to the fastest; None is row-major.

    `bits`: elements are two's-complement (or unsigned) fields of that many bits in little-endian
    32-bit words, the first element lowest, every row of the fastest axis beginning a new word;
    None is one element of `storage_dtype` each.
    """

    order: tuple[int, ...] | None = None
    bits: int | None = None

    @property
    def per_word(self) -> int:
        assert self.bits is not None
        return WORD_BITS // self.bits

    def axes(self, rank: int) -> tuple[int, ...]:
        return tuple(range(rank)) if self.order is None else self.order

    def row_words(self, kind: TensorType) -> int:
        """Words of one row of the fastest axis, of a packed buffer."""
        length = kind.shape[self.axes(len(kind.shape))[-1]] if kind.shape else 1
        return -(-length // self.per_word)

    def dtype(self, kind: TensorType) -> np.dtype[Any]:
        """Of what `arrange` gives."""
        return storage_dtype(kind.scalar) if self.bits is None else np.dtype(f"uint{WORD_BITS}")

    def length(self, kind: TensorType) -> int:
        """How many of them: words if packed, else elements."""
        if self.bits is None:
            return kind.size
        rows = kind.size // max(kind.shape[self.axes(len(kind.shape))[-1]], 1)
        return rows * self.row_words(kind)

    def bytes(self, kind: TensorType) -> int:
        return self.length(kind) * self.dtype(kind).itemsize

    def arrange(self, kind: TensorType, array: NDArray[Any]) -> NDArray[Any]:
        """The flat elements of memory: words if packed, else storage elements."""
        ordered = array.transpose(self.axes(array.ndim)) if array.ndim else array
        if self.bits is None:
            return np.ascontiguousarray(ordered, storage_dtype(kind.scalar)).reshape(-1)
        rows = np.ascontiguousarray(ordered).reshape(-1, ordered.shape[-1])
        fields = np.zeros((len(rows), self.row_words(kind) * self.per_word), np.uint32)
        mask = (1 << self.bits) - 1
        fields[:, : rows.shape[1]] = (rows.astype(np.int64) & mask).astype(np.uint32)
        words: NDArray[Any] = np.bitwise_or.reduce(
            fields.reshape(-1, self.per_word) << self._shifts, axis=1
        )
        return words

    def restore(self, kind: TensorType, stored: NDArray[Any]) -> NDArray[Any]:
        """The tensor of which `arrange` gives `stored`."""
        axes = self.axes(len(kind.shape))
        shape = tuple(kind.shape[axis] for axis in axes)
        if self.bits is not None:
            assert isinstance(kind.scalar, Int)
            fields = (stored[:, None] >> self._shifts).astype(np.int64) & ((1 << self.bits) - 1)
            sign = 1 << (self.bits - 1) if kind.scalar.signed else 0
            rows = ((fields ^ sign) - sign).reshape(-1, self.row_words(kind) * self.per_word)
            stored = rows[:, : shape[-1]].astype(storage_dtype(kind.scalar))
        return np.array(stored.reshape(shape).transpose(np.argsort(axes)), order="C")

    @property
    def _shifts(self) -> NDArray[np.uint32]:
        """Of the fields of a word."""
        assert self.bits is not None
        return np.arange(self.per_word, dtype=np.uint32) * np.uint32(self.bits)


ROW_MAJOR = Layout()


def packed_bits(scalar: Scalar) -> int | None:
    """Field width in which matrices of `scalar` are packed; None where a byte serves better."""
    if isinstance(scalar, Int):
        for bits in (1, 2, 4):
            if scalar.bits <= bits:
                return bits
    return None
