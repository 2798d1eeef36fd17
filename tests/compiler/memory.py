"""Runs a program as a device does: over bytes at the addresses of the plan, element by element."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.layout import ROW_MAJOR, storage_dtype
from edgetrain.compiler.program import Buffer, Call, Entry, Program
from tests.compiler.interpreter import run_nest
from tests.compiler.scalars import Number

Array = NDArray[Any]


class Memory:
    """Arena and state of a program; what no call has written is garbage."""

    def __init__(self, program: Program, seed: int = 0) -> None:
        self._program = program
        rng = np.random.default_rng(seed)
        self._arena = rng.integers(0, 256, program.arena_bytes, np.uint8)
        self.state = {name: array.copy() for name, array in program.initial.items()}

    def run(self, name: str, *inputs: Array) -> tuple[Array, ...]:
        """One run of the entry `name`."""
        entry = self._program.entry(name)
        places = {name: array.copy() for name, array in self._program.constants.items()}
        for name, array in zip(entry.inputs, inputs, strict=True):
            places[name] = array.astype(storage_dtype(self._program.buffers[name].type.scalar))
        for call in entry.calls:
            self._call(call, places)
        return tuple(places[name].copy() for name in entry.outputs)

    def _call(self, call: Call, places: dict[str, Array]) -> None:
        operands = [self._place(self._program.buffers[name], places) for name in call.inputs]
        results = [self._place(self._program.buffers[name], places) for name in call.outputs]

        def load(position: int, index: tuple[int, ...]) -> Number:
            number: Number = operands[position][index].item()
            return number

        def store(position: int, index: tuple[int, ...], value: Number) -> None:
            results[position][index] = value

        run_nest(call.nest, load, store, call.point)
        for name, array in zip(call.outputs, results, strict=True):
            buffer = self._program.buffers[name]
            if buffer.kind == "arena" and buffer.layout != ROW_MAJOR:
                self._bytes(buffer)[:] = buffer.layout.arrange(buffer.type, array).view(np.uint8)

    def _place(self, buffer: Buffer, places: dict[str, Array]) -> Array:
        """The elements of `buffer`, where they lie."""
        if buffer.home:
            return self.state[buffer.home]
        if buffer.kind == "state":
            return self.state[buffer.name]
        dtype = storage_dtype(buffer.type.scalar)
        if buffer.kind == "arena":
            stored = self._bytes(buffer).view(buffer.layout.dtype(buffer.type))
            if buffer.layout == ROW_MAJOR:
                return stored.reshape(buffer.type.shape)
            # A copy, in the order of the axes; `_call` puts it back.
            return buffer.layout.restore(buffer.type, stored)
        if buffer.kind == "output" and buffer.name not in places:
            places[buffer.name] = np.zeros(buffer.type.shape, dtype)
        return places[buffer.name]

    def _bytes(self, buffer: Buffer) -> Array:
        """Those of a buffer of the arena."""
        assert buffer.offset + buffer.bytes <= self._program.arena_bytes
        return self._arena[buffer.offset : buffer.offset + buffer.bytes]


def live_bytes(program: Program, entry: Entry, alignment: int) -> list[int]:
    """For each call of `entry`, the bytes of the arena that hold something still needed."""
    found = []
    for turn, call in enumerate(entry.calls):
        before = {name for earlier in entry.calls[:turn] for name in earlier.outputs}
        after = {name for later in entry.calls[turn:] for name in later.inputs}
        live = (before & after) | set(call.outputs)
        buffers = (program.buffers[name] for name in live)
        sizes = [b.bytes for b in buffers if b.kind == "arena"]
        found.append(sum(-(-size // alignment) * alignment for size in sizes))
    return found
