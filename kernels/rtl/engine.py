"""What every form of circuit looks like from outside: streams of beats in and out, state by words.

The module `et_engine` has these ports, all of the clock `clk`; `rst` is synchronous:

    clk, rst
    entry[7:0]      which entry the next frame is for, by its place in the program; it changes
                    while not busy
    s_data, s_valid, s_ready             the frame's inputs, a beat a handshake
    m_data, m_valid, m_ready, m_last     the answer
    busy            from the cycle after a frame's first beat to the last beat of its answer
    state_tensor[7:0], state_address[31:0], state_write, state_in[63:0], state_out[63:0]
                    while not busy: state_out is the word at that address of that tensor two
                    cycles later, or state_in becomes it

A beat holds `lanes` elements of one buffer, each in the bits of its range, the first one lowest;
what is above them is ignored, or 0.  The buffers of an entry follow each other, each from a new
beat on.  A reset gives up the frame in hand; it leaves memories as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.program import Buffer
from edgetrain.compiler.types import Int

MOST_BITS = 1024
"""Of a beat: the widest stream that AMD's DMA has."""
STATE_BITS = 64
"""Of state_in and state_out."""
PORTS = """\
input wire clk, input wire rst, input wire [7:0] entry,
input wire [{s}:0] s_data, input wire s_valid, output wire s_ready,
output wire [{m}:0] m_data, output wire m_valid, input wire m_ready, output wire m_last,
output wire busy,
input wire [7:0] state_tensor, input wire [31:0] state_address, input wire state_write,
input wire [63:0] state_in, output wire [63:0] state_out"""
"""The ports in Verilog; `s` and `m` are the highest bits of the data."""


@dataclass(frozen=True, slots=True)
class Stream:
    """How the elements of a buffer travel: `lanes` a beat, `bits` each."""

    buffer: str
    size: int
    bits: int
    signed: bool
    lanes: int

    @property
    def beats(self) -> int:
        return -(-self.size // self.lanes)

    def pack(self, elements: NDArray[np.integer]) -> list[int]:
        """The beats that carry `elements`, of any shape."""
        flat = [int(value) % 2**self.bits for value in np.asarray(elements).ravel()]
        return [
            sum(v << self.bits * i for i, v in enumerate(flat[at : at + self.lanes]))
            for at in range(0, self.size, self.lanes)
        ]

    def unpack(self, beats: Sequence[int]) -> list[int]:
        """The elements that `beats` carry."""
        codes = [beat >> self.bits * lane for beat in beats for lane in range(self.lanes)]
        return [decoded(code, self.bits, self.signed) for code in codes[: self.size]]


def decoded(code: int, bits: int, signed: bool) -> int:
    """The integer of the lowest `bits` of `code`, two's complement if `signed`."""
    code %= 1 << bits
    return code - (1 << bits) if signed and code >> bits - 1 else code


def stream(buffer: Buffer, lanes: int) -> Stream:
    """`buffer` as a stream; its elements are integers."""
    kind = buffer.type.scalar
    assert isinstance(kind, Int)
    return Stream(buffer.name, buffer.type.size, kind.bits, kind.signed, lanes)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A state in memory: words of `lanes` neighbours in the last axis, of `bits` each.

    A row of the last axis begins at a multiple of `stride` words.  Lane l of word w is at the
    state_address `w << 8 | l`.
    """

    buffer: str
    shape: tuple[int, ...]
    bits: int
    signed: bool
    lanes: int
    stride: int

    def address(self, index: int) -> int:
        """Of the element of that place in row-major order."""
        row, column = divmod(index, self.shape[-1] if self.shape else 1)
        word, lane = divmod(column, self.lanes)
        return (row * self.stride + word) << 8 | lane

    def value(self, word: int) -> int:
        """The element that `state_out` shows."""
        return decoded(word, self.bits, self.signed)


@dataclass(frozen=True, slots=True)
class Ports:
    """An entry from outside; `cycles` from its first beat to the last of its answer, and
    `interval` between frames, both without stalls."""

    name: str
    inputs: tuple[Stream, ...]
    outputs: tuple[Stream, ...]
    cycles: int
    interval: int


@dataclass(frozen=True)
class Engine:
    """The module `et_engine` with the modules that it is made of; `s_bits` and `m_bits` are the
    widths of its streams, `parts` what it is made of."""

    text: str
    entries: tuple[Ports, ...]
    tensors: tuple[Tensor, ...]
    s_bits: int
    m_bits: int
    parts: Mapping[str, int] = field(default_factory=dict, compare=False)


def stream_bits(streams: Sequence[Stream]) -> int:
    """The width that holds a beat of each: a power of two, of whole bytes."""
    return max(8, 1 << (max(s.bits * s.lanes for s in streams) - 1).bit_length())


def lanes_within(bits: int, size: int, most: int = MOST_BITS) -> int:
    """The most elements that travel in one beat."""
    return min(size, most // bits)
