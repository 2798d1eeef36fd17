"""Target against simulator on the same data, bit for bit: every output and every state tensor."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.board import load_board
from edgetrain.can.frames import Frames
from edgetrain.can.inject import inject
from edgetrain.can.synthetic import synthetic_bus
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.program import Buffer, Entry, elements
from edgetrain.compiler.types import Float
from edgetrain.link import Link, open_link
from edgetrain.pipeline import IMAGE_FILE, Program, open_project

Array = NDArray[Any]
Inputs = tuple[Array, ...]


@dataclass(frozen=True)
class Mismatch:
    """The first place where the target differs: entry and call, tensor, index, both values."""

    entry: str
    sample: int
    call: str
    tensor: str
    index: tuple[int, ...]
    simulator: str
    target: str

    def __str__(self) -> str:
        return (
            f"{self.entry}, sample {self.sample}: {self.call}, tensor {self.tensor}"
            f"{list(self.index)}: simulator {self.simulator}, target {self.target}"
        )


@dataclass(frozen=True)
class VerifyReport:
    """`instructions`: mean a call of each entry, None where the link cannot count.

    `comparable`: whether those are exact counts, fit for a comparison between boards.
    """

    link: str
    samples: int
    steps: int
    compared_values: int
    mismatches: int
    bit_exact: bool
    instructions: dict[str, float | None]
    comparable: bool
    stack_bytes: int | None
    first_mismatch: Mismatch | None


def verify(
    directory: str | Path,
    *,
    samples: int = 1000,
    seed: int = 0,
    link: str = "auto",
    frames: Frames | None = None,
    count: bool = False,
) -> VerifyReport:
    """Run `samples` inputs through every entry of the project's image and of the simulator.

    Inputs of `infer` are drawn over their whole range; `can_frame` gets `frames`, by default
    synthetic traffic with attacks.  Raises InputError where the image cannot be run, or is not of
    this program.
    """
    if samples < 1:
        raise InputError(f"{samples} samples", remedy="give at least one")
    program = open_project(directory)
    board = load_board(program.target)
    image = Path(directory) / IMAGE_FILE
    if not image.is_file():
        raise InputError("holds no image", where=str(directory), remedy="compile it again")
    with open_link(board, image, link, count=count) as target:
        if target.hello().model_hash.hex() != program.sha256:
            raise InputError(
                "the target runs another program", where=str(directory), remedy="flash the image"
            )
        run = _Comparison(program, target)
        for position, entry in enumerate(program.entries):
            for inputs in _samples(program, entry, samples, seed, frames):
                run.step(position, entry, inputs)
        return run.report(samples)


def _samples(
    program: Program, entry: Entry, samples: int, seed: int, frames: Frames | None
) -> Iterable[Inputs]:
    if entry.name == "can_frame":
        return itertools.islice(frame_inputs(frames or _traffic(samples, seed)), samples)
    rng = np.random.default_rng([seed, len(entry.name)])
    buffers = [program.buffers[name] for name in entry.inputs]
    return (tuple(draw(rng, buffer) for buffer in buffers) for _ in range(samples))


def draw(rng: np.random.Generator, buffer: Buffer) -> Array:
    """Elements over the whole range of `buffer`; one draw in eight is at an end of it."""
    scalar, shape = buffer.type.scalar, buffer.type.shape
    if isinstance(scalar, Float):
        return rng.normal(0, 2, shape).astype(storage_dtype(scalar))
    values = rng.integers(scalar.lo, scalar.hi, shape, dtype=np.int64, endpoint=True)
    if rng.random() < 1 / 8:
        values = np.where(rng.random(shape) < 0.5, scalar.lo, scalar.hi)
    return values.astype(storage_dtype(scalar))


def _traffic(samples: int, seed: int) -> Frames:
    """At least `samples` frames with attacks among them."""
    seconds = 5.0 + samples / 400
    return inject(synthetic_bus(seconds, seed), seed=seed)


def frame_inputs(frames: Frames) -> Iterator[Inputs]:
    """The inputs of `can_frame`, frame by frame."""
    columns = (frames.t_us.astype(np.uint64), frames.id, frames.extended.astype(np.uint8))
    for i in range(len(frames)):
        yield (*(np.asarray(c[i]) for c in columns), np.asarray(frames.dlc[i]), frames.data[i])


class _Comparison:
    """Feeds both and counts what differs."""

    def __init__(self, program: Program, target: Link) -> None:
        self._program = program
        self._simulator = program.simulator()
        self._target = target
        self._compared = 0
        self._mismatches = 0
        self._first: Mismatch | None = None
        self._instructions: dict[str, list[int]] = {e.name: [] for e in program.entries}
        self._sample = 0

    def step(self, position: int, entry: Entry, inputs: Inputs) -> None:
        """One call of one entry on both."""
        expected = self._simulator.run(entry.name, *inputs)
        buffers = [self._program.buffers[name] for name in entry.inputs]
        result = self._target.run(position, b"".join(map(pack, buffers, inputs)))
        if result.status != 0:
            raise RuntimeError(f"{entry.name} refused an input that its type allows")
        offset = 0
        for name, label, values in zip(entry.outputs, entry.output_names, expected, strict=True):
            buffer = self._program.buffers[name]
            raw = result.output[offset : offset + buffer.bytes]
            offset += buffer.bytes
            self._compare(entry, label, name, values, elements(buffer, raw))
        if result.instructions is not None:
            self._instructions[entry.name].append(result.instructions)
        self._sample += 1

    def report(self, samples: int) -> VerifyReport:
        """Compare the state, and sum up."""
        writers = {s: (e, v) for e in self._program.entries for s, v in e.updates}
        for position, buffer in enumerate(self._program.of_kind("state")):
            entry, value = writers.get(buffer.name, (self._program.entries[0], buffer.name))
            actual = elements(buffer, self._target.read_state(position))
            self._compare(entry, buffer.name, value, self._simulator.state[buffer.name], actual)
        means = {
            name: sum(counts) / len(counts) if counts else None
            for name, counts in self._instructions.items()
        }
        return VerifyReport(
            link=self._target.name,
            samples=samples,
            steps=0,
            compared_values=self._compared,
            mismatches=self._mismatches,
            bit_exact=self._mismatches == 0,
            instructions=means,
            comparable=self._target.counts_comparable,
            stack_bytes=self._target.stack_bytes(),
            first_mismatch=self._first,
        )

    def _compare(self, entry: Entry, label: str, name: str, expected: Array, actual: Array) -> None:
        self._compared += expected.size
        differing = np.argwhere(bits(expected) != bits(actual))
        self._mismatches += len(differing)
        if len(differing) and self._first is None:
            index = tuple(int(i) for i in differing[0])
            call = next((c.op for c in entry.calls if name in c.outputs), "the state")
            number = next((i for i, c in enumerate(entry.calls) if name in c.outputs), -1)
            self._first = Mismatch(
                entry.name,
                self._sample,
                f"call {number} ({call})" if number >= 0 else call,
                label,
                index,
                str(expected[index]),
                str(actual[index]),
            )


def pack(buffer: Buffer, array: Array) -> bytes:
    """The elements of `array` as the link carries them."""
    dtype = storage_dtype(buffer.type.scalar).newbyteorder("<")
    return np.ascontiguousarray(array, dtype).tobytes()


def bits(array: Array) -> Array:
    """What is compared: integers themselves, of floats the bits, every NaN alike."""
    if array.dtype.kind != "f":
        return array
    canonical = np.where(np.isnan(array), np.asarray(np.nan, array.dtype), array)
    return canonical.view(f"u{array.dtype.itemsize}")
