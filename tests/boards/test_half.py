"""Conversions between FLOAT16 and FLOAT32 on every kind of core, and the fused operation of those
that have it.

On this machine every FLOAT16 is tried, and every middle of two.  Emulators take a part of them: to
try all takes a minute (`EVERY = 1`).
"""

from collections.abc import Iterator
from dataclasses import fields
from math import copysign, inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetrain.board import load_board
from edgetrain.compiler.expr import Dim, fma
from edgetrain.compiler.graph import Graph, GraphBuilder
from edgetrain.compiler.interface import InputCode, OutputCode
from edgetrain.compiler.kernel import Target
from edgetrain.compiler.nest import Nest, Out, Read
from edgetrain.compiler.plan import plan
from edgetrain.compiler.program import Program as CompiledProgram
from edgetrain.compiler.types import FLOAT16, FLOAT32, TensorType
from edgetrain.kernels.c.kernels import KERNELS
from edgetrain.link import Link, open_link
from edgetrain.pipeline import Program, write_project
from edgetrain.toolchain import IMAGE_FILE
from tests.support import needs_tool

EVERY = 32
AT_ONCE = 256
COMPUTING = ("host", "mps3-an547", "qemu-rv32-zfh")
CONVERTING = ("mps2-an386", "mps2-an505", "bbc_microbit", "qemu-rv32imc")
"""Boards whose programs keep such numbers as bits; two have an instruction for it, two do not."""
HALF, SINGLE = TensorType((AT_ONCE,), FLOAT16), TensorType((AT_ONCE,), FLOAT32)
ALL = np.arange(2**16, dtype=np.uint16).view(np.float16)


def conversion(name: str, source: TensorType, result: TensorType) -> Graph:
    b = GraphBuilder(name)
    b.output("y", b.apply("cast", b.input("x", source), to=result.scalar))
    return b.build()


def fused() -> Graph:
    b = GraphBuilder("fused")
    n = Dim("n", AT_ONCE)
    reads = tuple(Read(name, (n,), HALF) for name in "abc")
    body = fma(*(read.value for read in reads))
    nest = Nest((("n", AT_ONCE),), reads, (Out("y", ("n",), FLOAT16, body),))
    b.output("y", b.nest(nest, *(b.input(read.local, HALF) for read in reads))[0])
    return b.build()


@pytest.fixture(scope="module", params=[*COMPUTING, *CONVERTING])
def link(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Link]:
    """A target with the entries that it can have."""
    board = load_board(request.param)
    if board.qemu is not None:
        needs_tool(board.qemu.program)
    graphs = [conversion("widen", HALF, SINGLE), conversion("narrow", SINGLE, HALF)]
    graphs += [fused()] * (board.name in COMPUTING)
    target = Target(board.name, frozenset(board.features), KERNELS)
    planned = plan(graphs, target, InputCode(HALF), OutputCode(HALF), {})
    directory: Path = tmp_path_factory.mktemp("half") / "out"
    parts = {f.name: getattr(planned, f.name) for f in fields(CompiledProgram)}
    write_project(Program(**parts), directory)
    as_bits = "ET_HALF_BITS" in (directory / "src" / "edgetrain.h").read_text()
    assert as_bits == (board.name in CONVERTING)
    with open_link(board, directory / IMAGE_FILE) as opened:
        yield opened


def run(link: Link, entry: int, dtype: Any, *inputs: Any) -> Any:
    """The results for operands of any length."""
    (length,) = inputs[0].shape
    results = []
    for start in range(0, length, AT_ONCE):
        parts = [np.resize(array[start : start + AT_ONCE], AT_ONCE) for array in inputs]
        answer = link.run(entry, b"".join(part.tobytes() for part in parts))
        assert answer.status == 0
        results.append(np.frombuffer(answer.output, dtype))
    return np.concatenate(results)[:length]


def assert_same(results: Any, expected: Any) -> None:
    """Every bit of a number; a NaN need only be one."""
    word = f"u{expected.dtype.itemsize}"
    same = results.view(word) == expected.view(word)
    assert (same | (np.isnan(results) & np.isnan(expected))).all()


def some(link: Link, numbers: Any) -> Any:
    """All of them, or every so-manieth and those at the ends."""
    if link.name == "host":
        return numbers
    return np.concatenate([numbers[:64], numbers[64:-64:EVERY], numbers[-64:]])


def test_every_half_is_widened_as_it_is(link: Link) -> None:
    x = some(link, ALL)
    assert_same(run(link, 0, np.float32, x), x.astype(np.float32))


def test_what_lies_between_two_halves_goes_to_the_nearer(link: Link) -> None:
    """Halfway to the even one, and just beside: where truncation or double rounding would show."""
    finite = np.sort(ALL[np.isfinite(ALL)].astype(np.float64))
    middles = some(link, (finite[1:] + finite[:-1]) / 2).astype(np.float32)
    ends = np.array([65520, 3e38, np.inf, np.nan, 0, 1e-45, 2.0**-25, 2.0**-26], np.float32)
    sides = [np.nextafter(middles, np.float32(side)) for side in (np.inf, -np.inf)]
    normal = np.nextafter(np.float32(2.0**-14), np.array([0, 1], np.float32))
    x = np.concatenate([middles, *sides, ends, -ends, normal])
    with np.errstate(over="ignore"):
        expected = x.astype(np.float16)
    assert_same(run(link, 1, np.float16, x), expected)


@pytest.mark.parametrize("link", COMPUTING, indirect=True)
def test_a_fused_multiply_add_rounds_once(link: Link) -> None:
    """By integers: no half is anything but a multiple of 2^-24."""
    rng = np.random.default_rng(3)
    a, b, c = rng.choice(ALL[np.isfinite(ALL)], (3, 6144))
    # Sums of much the same size, also such that little is left of them.
    c[::2] = -(a[::2].astype(np.float64) * b[::2]).clip(-65504, 65504).astype(np.float16)
    # Ties of the product, which an addend of another size breaks.
    a[1::4], b[1::4] = np.float16(1 + 2.0**-10), np.float16(1 + 2.0**-1)
    units = [(array.astype(np.float64) * 2**24).astype(object) for array in (a, b, c)]
    exact = [int(x) * int(y) + (int(z) << 24) for x, y, z in zip(*units, strict=True)]
    expected = np.array([nearest(value) for value in exact], np.float16)
    results = run(link, 2, np.float16, a, b, c)
    zero = (results == 0) & (expected == 0)
    assert (zero | (results.view(np.uint16) == expected.view(np.uint16))).all()


def nearest(value: int) -> float:
    """The half next to value·2^-48, ties to even."""
    size = abs(value)
    unit = max(size.bit_length() - 11, 24)
    rounded = size >> unit
    rest = size - (rounded << unit)
    rounded += 2 * rest > 1 << unit or (2 * rest == 1 << unit and rounded & 1)
    result = float(rounded) * 2.0 ** (unit - 48)
    return copysign(result if result < 65520 else inf, value)
