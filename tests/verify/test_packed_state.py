"""Weights of two bits that training writes and inference reads: on a target as in the simulator,
off it and onto another, and on from there."""

from pathlib import Path

import numpy as np
import pytest

from edgetrain.board import load_board
from edgetrain.compiler.expr import Dim, add, clamp, floor, lift, mul, sub, to_float
from edgetrain.compiler.files import npz_bytes
from edgetrain.compiler.graph import Graph, GraphBuilder
from edgetrain.compiler.interface import InputCode, OutputCode
from edgetrain.compiler.kernel import Target
from edgetrain.compiler.nest import Nest, Out, Read, elementwise, fold
from edgetrain.compiler.plan import plan
from edgetrain.compiler.program import TRAINING, elements, pack
from edgetrain.compiler.types import FLOAT32, Int, TensorType
from edgetrain.files import read_npz
from edgetrain.kernels.c.kernels import KERNELS
from edgetrain.link import Link, open_link
from edgetrain.pipeline import Program, open_project, runnable, write_project
from edgetrain.state import export_state, import_state
from edgetrain.toolchain import IMAGE_FILE
from edgetrain.verify import simulate_reference, verify
from tests.compiler.draws import Array, draw
from tests.support import needs_tool

INPUTS, OUTPUTS = 37, 5
TWO_BITS = Int(-2, 1)
WEIGHTS = TensorType((INPUTS, OUTPUTS), TWO_BITS)
LATENT = TensorType((INPUTS, OUTPUTS), FLOAT32)
X, Y = TensorType((INPUTS,), Int(0, 3)), TensorType((OUTPUTS,), Int(-300, 300))
ERROR = TensorType((OUTPUTS,), FLOAT32)
K, N = Dim("k", INPUTS), Dim("n", OUTPUTS)
BOARDS = ("host", "mps2-an386", "qemu-rv32imc", "mps3-an547")
STEPS = 40


def learner() -> list[Graph]:
    """A layer that learns to give what it is told: latent floats, weights of two bits from them."""
    rng = np.random.default_rng(3)
    latent = rng.uniform(-2, 2, LATENT.shape).astype(np.float32)
    infer, step = GraphBuilder("infer"), GraphBuilder(TRAINING)
    for b in (infer, step):
        x = b.input("x", X)
        w = b.state("w", np.floor(latent).astype(np.int8), TWO_BITS)
        y = b.apply("matmul", x, w)
        if b is infer:
            b.output("y", y)
            continue
        d = b.nest(error(y.type), b.input("t", Y), y)[0]
        b.output("back", b.nest(back(), d, w)[0])
        old = b.state("latent", latent, FLOAT32)
        new = b.nest(moved(), old, x, d)[0]
        b.update(old, new)
        b.update(w, b.nest(rounded(), new)[0])
    return [infer.build(), step.build()]


def error(y: TensorType) -> Nest:
    """(t − y)·2⁻⁹, floats."""
    return elementwise((N,), lambda t, y: mul(to_float(sub(t, y)), 2.0**-9), t=Y, y=y)


def back() -> Nest:
    """Σ_n d[n]·w[k, n]."""
    d, w = Read("d", (N,), ERROR), Read("w", (K, N), WEIGHTS)
    total = fold("add", mul(d.value, to_float(w.value)), lift(0.0, FLOAT32), OUTPUTS)
    out = Out("y", ("k",), FLOAT32, total.result, total)
    return Nest((("k", INPUTS), ("n", OUTPUTS)), (d, w), (out,))


def moved() -> Nest:
    """latent + x·d."""
    latent, x, d = Read("latent", (K, N), LATENT), Read("x", (K,), X), Read("d", (N,), ERROR)
    body = add(latent.value, mul(to_float(x.value), d.value))
    out = Out("y", ("k", "n"), FLOAT32, body)
    return Nest((("k", INPUTS), ("n", OUTPUTS)), (latent, x, d), (out,))


def rounded() -> Nest:
    """⌊latent⌋, as far as two bits go."""
    return elementwise((K, N), lambda w: clamp(floor(w), TWO_BITS), w=LATENT)


def compiled(board: str) -> Program:
    target = Target(board, frozenset(load_board(board).features), KERNELS)
    graphs = learner()
    return runnable(plan(graphs, target, InputCode(X), OutputCode(graphs[0].outputs[0].type), {}))


@pytest.fixture(scope="module", params=BOARDS)
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    board = load_board(request.param)
    if board.qemu is not None:
        needs_tool(board.qemu.program)
    directory: Path = tmp_path_factory.mktemp("packed") / "out"
    write_project(compiled(board.name), directory)
    return directory


def test_the_weights_take_two_bits_each(project: Path) -> None:
    program = open_project(project)
    words = OUTPUTS * -(-INPUTS // 16)
    assert {b.name: b.bytes for b in program.of_kind("state")} == {
        "w": 4 * words,
        "latent": 4 * INPUTS * OUTPUTS,
    }
    assert program.weights_bytes == 4 * words
    with open_link(load_board(program.target), project / IMAGE_FILE) as target:
        assert target.hello().tensors == tuple(b.bytes for b in program.of_kind("state"))


def test_a_target_learns_what_the_simulator_learns(project: Path) -> None:
    report = verify(project, samples=8, steps=STEPS)
    assert report.bit_exact, report.first_mismatch
    program = open_project(project)
    learned = simulate_reference(program, samples=8, steps=STEPS).state["w"]
    assert (learned != program.initial["w"]).sum() > 10


def test_what_was_learned_goes_on_elsewhere(project: Path, tmp_path: Path) -> None:
    """Off a target into a file, and from there to a simulator and to a fresh target."""
    program = open_project(project)
    board, image = load_board(program.target), project / IMAGE_FILE
    steps = drawn(program)
    straight = program.simulator()
    for inputs in steps:
        straight.run(TRAINING, *inputs)
    with open_link(board, image) as first:
        run_on(first, program, steps[:STEPS])
        (tmp_path / "half.npz").write_bytes(npz_bytes(read(first, program)))
    import_state(project, tmp_path / "half.npz")
    export_state(project, tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "half.npz").read_bytes()
    half = read_npz(tmp_path / "half.npz", 10**5)
    resumed = program.simulator()
    resumed.load_state(half)
    with open_link(board, image) as second:
        for position, buffer in enumerate(program.of_kind("state")):
            second.write_state(position, pack(buffer, half[buffer.name]))
        run_on(second, program, steps[STEPS:])
        moved_on = read(second, program)
    for inputs in steps[STEPS:]:
        resumed.run(TRAINING, *inputs)
    for name, expected in straight.state.items():
        assert resumed.state[name].tobytes() == expected.tobytes()
        assert moved_on[name].tobytes() == expected.tobytes()


def test_the_state_of_a_target_is_exported(project: Path, tmp_path: Path) -> None:
    program = open_project(project)
    report = export_state(project, tmp_path / "fresh.npz", link="auto")
    assert report.tensors == {"w": [INPUTS, OUTPUTS], "latent": [INPUTS, OUTPUTS]}
    for name, array in read_npz(tmp_path / "fresh.npz", 10**5).items():
        assert array.dtype == program.initial[name].dtype
        np.testing.assert_array_equal(array, program.initial[name])
    assert import_state(project, tmp_path / "fresh.npz", link="auto") == report


def drawn(program: Program) -> list[list[Array]]:
    """The inputs of two runs of STEPS steps."""
    rng = np.random.default_rng(8)
    kinds = [program.buffers[name].type for name in program.entry(TRAINING).inputs]
    return [[draw(rng, kind) for kind in kinds] for _ in range(2 * STEPS)]


def run_on(target: Link, program: Program, steps: list[list[Array]]) -> None:
    entry = program.entry(TRAINING)
    buffers = [program.buffers[name] for name in entry.inputs]
    for inputs in steps:
        data = b"".join(map(pack, buffers, inputs))
        assert target.run(program.entries.index(entry), data).status == 0


def read(target: Link, program: Program) -> dict[str, Array]:
    states = enumerate(program.of_kind("state"))
    return {buffer.name: elements(buffer, target.read_state(i)) for i, buffer in states}
