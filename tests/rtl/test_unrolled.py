"""The unrolled core computes what the simulator does, sample after sample, a cycle each."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph, GraphBuilder, Value
from edgetrain.compiler.program import Program
from edgetrain.compiler.types import FLOAT32, Int, TensorType
from edgetrain.kernels.rtl.unrolled import print_core
from edgetrain.pipeline import compile_model
from edgetrain.simulator import Simulator
from edgetrain.workloads import find_model
from tests.c.harness import make_program
from tests.rtl.icarus import evaluate
from tests.support import needs_tool

SAMPLES = 60
CYCLES = 9


def network(seed: int) -> Graph:
    """Two or three layers; weights of 1 to 8 bits, inputs of 1 to 8, thresholds anywhere."""
    rng = np.random.default_rng([seed, 5])
    sizes = [int(n) for n in rng.integers(1, 24, int(rng.integers(3, 5)))]
    bits = int(rng.integers(1, 9))
    low = -(2 ** (bits - 1)) if rng.random() < 0.5 else 0
    b = GraphBuilder("infer")
    h: Value = b.input("x", TensorType((sizes[0],), Int(low, low + 2**bits - 1)))
    for layer, (rows, columns) in enumerate(pairwise(sizes)):
        half = 2 ** (int(rng.integers(1, 9)) - 1)
        weights = rng.integers(-half, half, (rows, columns), endpoint=half == 1)
        weights[rng.random(weights.shape) < 0.3] = 0
        h = b.apply("matmul", h, b.constant(weights.astype(np.int16), Int(-half, half)))
        if layer < len(sizes) - 2:
            assert isinstance(h.type.scalar, Int)
            ends = max(2, abs(h.type.scalar.lo) // 3), max(2, h.type.scalar.hi // 3)
            levels = int(rng.integers(1, 8))
            steps = np.sort(rng.integers(-ends[0], ends[1], (columns, levels)), axis=1)
            steps[rng.random(columns) < 0.1] = 10**6
            steps[rng.random(columns) < 0.1] = -(10**6)
            lowest = -1 if seed % 5 == 4 else 0
            limits = b.constant(steps.astype(np.int32), Int(-(2**31), 2**31 - 1))
            h = b.apply("threshold", h, limits, lowest=lowest)
    b.output("y", h)
    return b.build()


def packed(samples: NDArray[Any], kind: Int) -> list[int]:
    """Each sample as the port x has it."""
    return [
        sum(int(v) % 2**kind.bits << kind.bits * i for i, v in enumerate(row)) for row in samples
    ]


def unpacked(numbers: list[int], kind: TensorType) -> NDArray[np.int64]:
    """What the port y has, as elements."""
    assert isinstance(kind.scalar, Int)
    bits = kind.scalar.bits
    fields = [[n >> bits * i & 2**bits - 1 for i in range(kind.size)] for n in numbers]
    found = np.array(fields, np.int64)
    return (
        np.where(found >= 2 ** (bits - 1), found - 2**bits, found) if kind.scalar.signed else found
    )


class Bits:
    """A port, wider than any integer of a program."""

    signed = False

    def __init__(self, bits: int) -> None:
        self.bits = bits


def assert_equal(program: Program, scratch: Path, seed: int, netlist: str | None = None) -> None:
    """The core, or the netlist of one of that latency, gives what the simulator does."""
    entry = program.entry("infer")
    (x,), (y,) = entry.inputs, entry.outputs
    kind, made = program.buffers[x].type, program.buffers[y].type
    assert isinstance(kind.scalar, Int)
    assert isinstance(made.scalar, Int)
    rng = np.random.default_rng(seed)
    samples = rng.integers(kind.scalar.lo, kind.scalar.hi, (SAMPLES, kind.size), endpoint=True)
    core = print_core(program, entry, CYCLES)
    assert core.latency <= CYCLES
    ports: Any = Bits(kind.scalar.bits * kind.size), Bits(made.scalar.bits * made.size)
    vectors = packed(samples, kind.scalar)
    text = (netlist or core.text).replace("module et_core", "module dut")
    found = evaluate(text, {"x": (ports[0], vectors)}, {"y": ports[1]}, scratch, delay=core.latency)
    simulator = Simulator(program)
    expected = [simulator.run(entry.name, row.reshape(kind.shape))[0].ravel() for row in samples]
    np.testing.assert_array_equal(unpacked(found["y"], made), expected)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        every = metafunc.config.getoption("--every")
        metafunc.parametrize("seed", range(100 if every else 15))


def test_random_networks(seed: int, tmp_path: Path) -> None:
    needs_tool("iverilog")
    assert_equal(make_program([network(seed)]), tmp_path, seed)


def test_the_shipped_detector(tmp_path: Path) -> None:
    needs_tool("iverilog")
    program = compile_model(find_model("can-ids-w2a2"), "host")
    assert_equal(program, tmp_path, 1)


def test_the_same_bytes_every_time() -> None:
    first, second = (
        print_core(p, p.entry("infer"), CYCLES) for p in [make_program([network(3)])] * 2
    )
    assert first == second


def test_what_has_no_core_is_refused() -> None:
    learning = compile_model(find_model("can-ids-w2a2"), "host", learn="sgd")
    with pytest.raises(InputError, match="keeps a state"):
        print_core(learning, learning.entry("infer"), CYCLES)
    b = GraphBuilder("infer")
    x = b.input("x", TensorType((3,), FLOAT32))
    b.output("y", b.apply("relu", x))
    floats = make_program([b.build()])
    with pytest.raises(InputError, match="has no RTL"):
        print_core(floats, floats.entry("infer"), CYCLES)
