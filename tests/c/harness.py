"""Graphs as programs, printed as C and built for this machine, and inputs to try them on."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.board import load_board
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph
from edgetrain.compiler.interface import InputCode, OutputCode
from edgetrain.compiler.kernel import Target
from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.plan import plan
from edgetrain.compiler.program import Buffer, Entry, Program, elements
from edgetrain.compiler.program_file import program_sha256
from edgetrain.compiler.types import Float, TensorType
from edgetrain.kernels.c.program import print_program
from edgetrain.link import Link
from edgetrain.simulator import Simulator
from edgetrain.toolchain import STRICT, find_toolchain, stage
from tests.support import absent

Array = NDArray[Any]

FLAGS = ("-std=c99", "-pedantic", *STRICT, "-ffp-contract=off", "-fno-math-errno")
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
BUILDS = {
    "gcc -O0 sanitized": ("gcc", ("-O0", *SANITIZE)),
    "gcc -O1": ("gcc", ("-O1",)),
    "gcc -O3": ("gcc", ("-O3",)),
    "clang -O0": ("clang", ("-O0",)),
    "clang -O1": ("clang", ("-O1",)),
    "clang -O3 sanitized": ("clang", ("-O3", *SANITIZE)),
}

FLOATS = (0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan)


def floats(kind: Float) -> Array:
    """Numbers at which an executor may go wrong: subnormals and the ends among them."""
    f = np.finfo(storage_dtype(kind))
    tiny = float(f.smallest_subnormal)
    more = (71 * tiny, -tiny, 0.99 * float(f.max), -float(f.max), float(f.tiny), 0.1)
    return np.array([*FLOATS, *more]).astype(f.dtype)


def make_program(graphs: Sequence[Graph], *, fused: bool = True) -> Program:
    """The program of `graphs`, one an entry, for this machine; float sums fused or not."""
    kind = graphs[0].outputs[0].type
    features = {name for name in load_board("host").features if fused or not name.startswith("fma")}
    target = Target("host", frozenset(features))
    return plan(graphs, target, InputCode(kind), OutputCode(kind), {})


def build_program(
    program: Program,
    directory: Path,
    toolchain: str,
    flags: Sequence[str] = (),
    features: Sequence[str] = (),
) -> Path:
    """The printed program's executable, compiled with warnings as errors; printed for a core with
    `features`."""
    board = load_board("host")
    try:
        tools = find_toolchain(board, toolchain)
    except InputError as error:
        absent(str(error))
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in print_program(program, program_sha256(program), "test", features).items():
        (directory / name).write_text(text, encoding="utf-8")
    stage(board, directory / "board")
    image = directory / "image"
    sources = sorted(str(path) for path in directory.rglob("*.c"))
    command = [*tools.compile, *FLAGS, *flags, f"-I{directory}", f"-I{directory / 'board'}"]
    done = subprocess.run(
        [*command, *sources, "-o", str(image), "-lm"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return image


def draw(rng: np.random.Generator, kind: TensorType) -> Array:
    """Elements of `kind`; now and then all at an end of its range, floats of every sort."""
    scalar, shape = kind.scalar, kind.shape
    if isinstance(scalar, Float):
        special = rng.choice(floats(scalar), shape)
        common = rng.normal(0, 2, shape).astype(special.dtype)
        return np.where(rng.random(shape) < rng.choice([0, 0.1, 1]), special, common)
    if rng.random() < 0.25:
        ends = np.array([scalar.lo, scalar.hi], storage_dtype(scalar))
        return np.asarray(rng.choice(ends, shape))
    values = rng.integers(scalar.lo, scalar.hi, shape, np.int64, endpoint=True)
    return np.asarray(values, storage_dtype(scalar))


def pack(buffer: Buffer, array: Array) -> bytes:
    return np.ascontiguousarray(array, storage_dtype(buffer.type.scalar)).tobytes()


def same(a: Array, b: Array) -> bool:
    """Whether both hold the same bits, every NaN alike."""
    if a.dtype.kind == "f":
        nans = np.isnan(a) & np.isnan(b)
        word = f"u{a.dtype.itemsize}"
        return a.dtype == b.dtype and bool((nans | (a.view(word) == b.view(word))).all())
    return np.array_equal(a, b)


class Pair:
    """A program on a target and in the simulator."""

    def __init__(self, program: Program, target: Link) -> None:
        self.program = program
        self.target = target
        self.simulator = Simulator(program)

    def check(self, entry: Entry, inputs: Sequence[Array]) -> None:
        """One call of `entry` on both gives the same outputs."""
        buffers = [self.program.buffers[name] for name in entry.inputs]
        data = b"".join(map(pack, buffers, inputs))
        result = self.target.run(self.program.entries.index(entry), data)
        assert result.status == 0, (entry.name, inputs)
        offset = 0
        expected = self.simulator.run(entry.name, *inputs)
        for name, wanted in zip(entry.outputs, expected, strict=True):
            buffer = self.program.buffers[name]
            actual = elements(buffer, result.output[offset : offset + buffer.bytes])
            offset += buffer.bytes
            assert same(wanted, actual), (entry.name, inputs, wanted, actual)
        assert offset == len(result.output)

    def check_state(self) -> None:
        """Every state tensor is the same on both."""
        for position, buffer in enumerate(self.program.of_kind("state")):
            actual = elements(buffer, self.target.read_state(position))
            assert same(self.simulator.state[buffer.name], actual), buffer.name
