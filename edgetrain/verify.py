"""Target against simulator on the same data, bit for bit: every output and every state tensor."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.can.frames import Frames
from edgetrain.can.inject import inject
from edgetrain.can.synthetic import synthetic_bus
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.program import TRAINING, Buffer, Entry, elements, pack
from edgetrain.compiler.program_file import program_sha256
from edgetrain.compiler.types import Float
from edgetrain.link import Link
from edgetrain.pipeline import Program, open_project
from edgetrain.simulator import Simulator
from edgetrain.target import open_target

Array = NDArray[Any]
Inputs = tuple[Array, ...]

_AFTERWARDS = 32
"""At most so many samples are inferred again with what was learned."""
_BLOCK = 256
"""Calls that the simulator runs before the target runs them."""


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
    """`instructions`: mean a call of each entry, None where the link cannot count; `cycles` those
    of a simulated circuit, likewise.

    `comparable`: whether those are exact counts, fit for a comparison between boards.
    """

    link: str
    samples: int
    steps: int
    compared_values: int
    mismatches: int
    bit_exact: bool
    instructions: dict[str, float | None]
    cycles: dict[str, float | None]
    comparable: bool
    stack_bytes: int | None
    first_mismatch: Mismatch | None


@dataclass(frozen=True)
class Series:
    """Calls of one entry, in order: packed inputs, and the outputs with the call as first axis.

    `first` is the number of the first call among all of that entry.
    """

    entry: str
    first: int
    inputs: tuple[bytes, ...]
    outputs: tuple[Array, ...]


@dataclass(frozen=True)
class Reference:
    """What the simulator makes of some calls; it serves every board that runs the same program.

    `state` is that after all calls; `steps` how many of them were training steps.
    """

    digest: str
    samples: int
    steps: int
    series: Iterable[Series]
    state: Mapping[str, Array]


def verify(
    directory: str | Path,
    *,
    samples: int = 1000,
    steps: int | None = None,
    seed: int = 0,
    link: str = "auto",
    frames: Frames | None = None,
    count: bool = False,
    reference: Reference | None = None,
) -> VerifyReport:
    """Run `samples` inputs through every entry of the project's image and of the simulator.

    Where the device learns, it takes `steps` training steps, by default as many as samples, and
    then infers some samples once more with what it has learned.
    Inputs of `infer` are drawn over their whole range; `can_frame` gets `frames` (all entries then
    at most as many inputs as there are frames), by default synthetic traffic with attacks.
    `reference`, of `simulate_reference`, replaces all of these.  With the link `host` a project for
    another board is built anew for this machine, which keeps the contracts of that board.  Raises
    InputError where the image cannot be run, or is not of this program.
    """
    program = open_project(directory)
    if reference is None:
        reference = _simulate(program, samples, steps, seed, frames)
    elif reference.digest != program_digest(program):
        raise InputError("the reference is of another program", where=str(directory))
    with open_target(program, directory, link, count=count, rebuild=True) as target:
        target.reset()  # a board may have been at work
        run = _Comparison(program, target)
        for series in reference.series:
            run.series(series)
        run.state(reference.state, reference.samples)
        return run.report(reference)


def simulate_reference(
    program: Program,
    *,
    samples: int = 1000,
    steps: int | None = None,
    seed: int = 0,
    frames: Frames | None = None,
) -> Reference:
    """Run the inputs that `verify` draws through the simulator, once for many boards."""
    lazy = _simulate(program, samples, steps, seed, frames)
    return replace(lazy, series=tuple(lazy.series))


def simulate_calls(program: Program, calls: Mapping[str, Sequence[Inputs]]) -> Reference:
    """Run these inputs of each entry named through the simulator, one entry after the other."""
    steps = len(calls.get(TRAINING, ()))
    lazy = _reference(program, max(map(len, calls.values())), steps, list(calls.items()))
    return replace(lazy, series=tuple(lazy.series))


def _simulate(
    program: Program, samples: int, steps: int | None, seed: int, frames: Frames | None
) -> Reference:
    samples = samples if frames is None else min(samples, len(frames))
    learns = any(entry.name == TRAINING for entry in program.entries)
    if steps is not None and not learns:
        raise InputError(f"{steps} steps of a program that does not learn", remedy="leave --steps")
    steps = (samples if steps is None else steps) if learns else 0
    if samples < 1 or (learns and steps < 1):
        raise InputError(f"{samples} samples, {steps} steps", remedy="give at least one")
    calls = []
    for entry in program.entries:
        turns = steps if entry.name == TRAINING else samples
        calls.append((entry.name, _samples(program, entry, turns, seed, frames)))
    if learns:
        infer, again = program.entry("infer"), min(samples, _AFTERWARDS)
        calls.append((infer.name, _samples(program, infer, again, seed, frames)))
    return _reference(program, samples, steps, calls)


def _reference(
    program: Program, samples: int, steps: int, calls: Sequence[tuple[str, Iterable[Inputs]]]
) -> Reference:
    """Its series and state come into being as they are asked for."""
    simulator = program.simulator()

    def series() -> Iterator[Series]:
        done = dict.fromkeys((name for name, _ in calls), 0)
        for name, every in calls:
            entry, inputs = program.entry(name), iter(every)
            buffers = [program.buffers[name] for name in entry.inputs]
            while block := list(itertools.islice(inputs, _BLOCK)):
                packed = tuple(b"".join(map(pack, buffers, each)) for each in block)
                yield Series(name, done[name], packed, _outputs(simulator, entry, block))
                done[name] += len(block)

    return Reference(program_digest(program), samples, steps, series(), simulator.state)


def _outputs(simulator: Simulator, entry: Entry, calls: Sequence[Inputs]) -> tuple[Array, ...]:
    if not entry.updates:
        return simulator.run_batch(entry.name, *map(np.stack, zip(*calls, strict=True)))
    runs = [simulator.run(entry.name, *inputs) for inputs in calls]
    return tuple(map(np.stack, zip(*runs, strict=True)))


def program_digest(program: Program) -> str:
    """The same for all boards that run the same calls over the same data."""
    return program_sha256(replace(program, target="")).hex()


def _samples(
    program: Program, entry: Entry, samples: int, seed: int, frames: Frames | None
) -> Iterable[Inputs]:
    if entry.name == "can_frame":
        return itertools.islice(frame_inputs(frames or _traffic(samples, seed)), samples)
    rng = np.random.default_rng([seed, len(entry.name)])
    buffers = [program.buffers[name] for name in entry.inputs]
    return (
        tuple(draw(rng, buffer, tame=entry.finite_inputs) for buffer in buffers)
        for _ in range(samples)
    )


def draw(rng: np.random.Generator, buffer: Buffer, *, tame: bool = False) -> Array:
    """Elements over the whole range of `buffer`; one draw in eight is at the ends of it, of floats
    half at infinities, NaN, zeros and the ends of the exponent, if `tame` only at its lower end."""
    scalar, shape = buffer.type.scalar, buffer.type.shape
    dtype = storage_dtype(scalar)
    at_ends = rng.random() < 1 / 8
    if isinstance(scalar, Float):
        values = rng.normal(0, 2, shape).astype(dtype)
        if at_ends:
            f = np.finfo(dtype)
            ends = [0.0, -0.0, f.tiny, -f.tiny, f.smallest_subnormal, -f.smallest_subnormal]
            if not tame:
                ends += [f.max, f.min, np.inf, -np.inf, np.nan]
            values = np.where(rng.random(shape) < 0.5, rng.choice(ends, shape), values)
    elif at_ends:
        values = np.where(rng.random(shape) < 0.5, scalar.lo, scalar.hi)
    else:
        values = rng.integers(scalar.lo, scalar.hi, shape, dtype=np.int64, endpoint=True)
    return values.astype(dtype)


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
    """Feeds the target what the simulator got, and counts what differs."""

    def __init__(self, program: Program, target: Link) -> None:
        self._program = program
        self._target = target
        self._compared = 0
        self._mismatches = 0
        self._first: Mismatch | None = None
        self._instructions: dict[str, list[int]] = {e.name: [] for e in program.entries}

    def series(self, series: Series) -> None:
        """All calls of one entry."""
        entry = self._program.entry(series.entry)
        position = self._program.entries.index(entry)
        for number, data in enumerate(series.inputs):
            sample = series.first + number
            result = self._target.run(position, data)
            if result.status != 0:
                call, status = "the check of its inputs", np.array(result.status)
                self._compare(entry, sample, call, "status", np.zeros_like(status), status)
                continue
            offset = 0
            for name, label, expected in zip(
                entry.outputs, entry.output_names, series.outputs, strict=True
            ):
                buffer = self._program.buffers[name]
                raw = result.output[offset : offset + buffer.bytes]
                offset += buffer.bytes
                call, actual = _maker(entry, name), elements(buffer, raw)
                self._compare(entry, sample, call, label, expected[number], actual)
            if result.instructions is not None:
                self._instructions[entry.name].append(result.instructions)

    def state(self, expected: Mapping[str, Array], samples: int) -> None:
        """Every state tensor, after `samples` calls."""
        writers = {s: (e, v) for e in self._program.entries for s, v in e.updates}
        for position, buffer in enumerate(self._program.of_kind("state")):
            entry, value = writers.get(buffer.name, (self._program.entries[0], buffer.name))
            actual = elements(buffer, self._target.read_state(position))
            call = _maker(entry, value)
            self._compare(entry, samples, call, buffer.name, expected[buffer.name], actual)

    def report(self, reference: Reference) -> VerifyReport:
        """Sum up."""
        means = {
            name: sum(counts) / len(counts) if counts else None
            for name, counts in self._instructions.items()
        }
        unknown: dict[str, float | None] = dict.fromkeys(means)
        return VerifyReport(
            link=self._target.name,
            samples=reference.samples,
            steps=reference.steps,
            compared_values=self._compared,
            mismatches=self._mismatches,
            bit_exact=self._mismatches == 0,
            instructions=unknown if self._target.counts_cycles else means,
            cycles=means if self._target.counts_cycles else unknown,
            comparable=self._target.counts_comparable,
            stack_bytes=self._target.stack_bytes(),
            first_mismatch=self._first,
        )

    def _compare(
        self, entry: Entry, sample: int, call: str, label: str, expected: Array, actual: Array
    ) -> None:
        self._compared += expected.size
        if expected.tobytes() == actual.tobytes():
            return
        differing = np.argwhere(bits(expected) != bits(actual))
        self._mismatches += len(differing)
        if len(differing) and self._first is None:
            index = tuple(int(i) for i in differing[0])
            values = str(expected[index]), str(actual[index])
            self._first = Mismatch(entry.name, sample, call, label, index, *values)


def _maker(entry: Entry, value: str) -> str:
    """The call that makes `value`."""
    for number, call in enumerate(entry.calls):
        if value in call.outputs:
            return f"call {number} ({call.op})"
    return "the state"


def bits(array: Array) -> Array:
    """What is compared: integers themselves, of floats the bits, every NaN alike."""
    if array.dtype.kind != "f":
        return array
    canonical = np.where(np.isnan(array), np.asarray(np.nan, array.dtype), array)
    return canonical.view(f"u{array.dtype.itemsize}")
