"""A device that learns a stream of samples: its program's C, as a library in this process.

That keeps the sums of the board the program is for, bit for bit, and takes some microseconds a
step, where the simulator, which takes the first steps beside it, takes thousands.
"""

import ctypes
import tempfile
from collections.abc import Collection, Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.program import TRAINING, elements, pack
from edgetrain.pipeline import Program, build_for_host
from edgetrain.simulator import Simulator
from edgetrain.verify import bits

Array = NDArray[Any]


class Entry(ctypes.Structure):
    """et_entry_t of kernels/c/runtime/et_tables.h."""

    _fields_ = (
        ("input_bytes", ctypes.c_uint32),
        ("output_bytes", ctypes.c_uint32),
        ("run", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p)),
    )


class Tensor(ctypes.Structure):
    """et_tensor_t of the same."""

    _fields_ = (("data", ctypes.c_void_p), ("bytes", ctypes.c_uint32))


class Device:
    """A program with its initial state, and what it learns."""

    def __init__(self, program: Program) -> None:
        self._program = program
        with tempfile.TemporaryDirectory() as scratch:
            library = ctypes.CDLL(str(build_for_host(program, Path(scratch), library=True)))
        library.et_init()
        self._states = program.of_kind("state")
        self._tensors = (Tensor * len(self._states)).in_dll(library, "et_state")
        entries = (Entry * len(program.entries)).in_dll(library, "et_entries")
        self._entries = {e.name: (e, c) for e, c in zip(program.entries, entries, strict=True)}

    def run(self, name: str, *inputs: Array) -> bytes:
        """The outputs of an entry.  Raises ValueError where it refuses its inputs."""
        entry, compiled = self._entries[name]
        buffers = (self._program.buffers[name] for name in entry.inputs)
        outputs = ctypes.create_string_buffer(compiled.output_bytes)
        if status := compiled.run(b"".join(map(pack, buffers, inputs)), outputs):
            raise ValueError(f"{name} refused with status {status}")
        return outputs.raw

    def infer(self, x: Array) -> Array:
        """Outputs (batch, outputs) of `x` (batch, features) in the model file's domains."""
        (name,) = self._program.entry("infer").outputs
        outputs = b"".join(self.run("infer", code) for code in codes(self._program, x))
        of_one = self._program.buffers[name]
        size = len(outputs) // len(x)
        parts = [elements(of_one, outputs[i : i + size]) for i in range(0, len(outputs), size)]
        return self._program.output_code.decode(np.stack(parts))

    def state(self) -> dict[str, Array]:
        """All of it, by name."""
        return {
            buffer.name: elements(buffer, ctypes.string_at(tensor.data, tensor.bytes))
            for buffer, tensor in zip(self._states, self._tensors, strict=True)
        }


def learn(
    program: Program,
    x: Array,
    targets: Array,
    pauses: Collection[int],
    simulated: int,
) -> Iterator[tuple[int, Device]]:
    """Learns the samples `x` (steps, features), in the model file's own domain, and their targets;
    with a batch `x` is (steps, samples, features).

    After each number of steps in `pauses` it gives that number and the device as it is then.
    Raises ValueError where the device refuses a step, or where its state or its outputs differ from
    those of the simulator, which takes the first `simulated` steps too.
    """
    simulator, device = program.simulator(), Device(program)
    for step, (code, label) in enumerate(zip(codes(program, x), targets, strict=True), 1):
        target = np.asarray(label)
        device.run(TRAINING, code, target)
        if step <= simulated:
            simulator.run(TRAINING, code, target)
        if step == min(simulated, len(x)):
            _check(simulator, device, x[:step])
        if step in pauses:
            yield step, device


def codes(program: Program, x: Array) -> Array:
    """`x`, of features or of batches of them, as the device takes it."""
    shape = program.input_code.type.shape
    return program.input_code.encode(x.reshape(-1, prod(shape))).reshape(*x.shape[:-1], *shape)


def _check(simulator: Simulator, device: Device, x: Array) -> None:
    found, expected = device.state(), simulator.state
    differing = [n for n in expected if not np.array_equal(bits(expected[n]), bits(found[n]))]
    if differing:
        raise ValueError(f"simulator and device differ after {len(x)} steps: {differing}")
    samples = x.reshape(-1, x.shape[-1])
    if not np.array_equal(simulator.infer(samples), device.infer(samples), equal_nan=True):
        raise ValueError(f"simulator and device differ in the outputs after {len(x)} steps")
