"""A thousand steps of every reference workload, bit for bit: loss by loss, and all that is learned.

On the Cortex-M4 and M55, with --every on a board of every core with a float unit and an emulator,
and on this machine by each compiler at both ends of its optimisation.  The simulator runs once for
all targets that run the same program.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from edgetrain.bench import own_samples
from edgetrain.board import all_boards, load_board
from edgetrain.networks import reference_network
from edgetrain.pipeline import FP16_FEATURES, Program, compile_model, write_project
from edgetrain.toolchain import build
from edgetrain.verify import Reference, program_digest, verify
from edgetrain.workloads import REFERENCES, model_file
from tests.support import assert_bit_exact, needs_tool

STEPS = 1000
EMULATED = [b for b in all_boards() if "f32" in b.features and b.qemu is not None]
CORES = {b.core: b.name for b in reversed(EMULATED)}
ALWAYS = ("mps2-an386", "mps3-an547")
RUNS = [
    (name, board)
    for name in REFERENCES
    for board in sorted(CORES.values())
    if name.endswith("fp32") or FP16_FEATURES.issubset(load_board(board).features)
]
BUILDS = [(compiler, level) for compiler in ("gcc", "clang") for level in ("-O0", "-O3")]


def compile_workload(name: str, board: str) -> Program:
    network = reference_network(name)
    assert network is not None
    with model_file(name) as path:
        return compile_model(path, board, learn="sgd", how=network.learning)


@pytest.fixture(scope="module")
def simulated() -> Callable[[str, Program], Reference]:
    """The thousand steps of a workload, simulated once for equal programs."""
    made: dict[str, Reference] = {}

    def get(name: str, program: Program) -> Reference:
        digest = program_digest(program)
        if digest not in made:
            network = reference_network(name)
            assert network is not None
            made[digest] = own_samples(program, network, "train_step", STEPS)
        return made[digest]

    return get


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "board" in metafunc.fixturenames:
        every = metafunc.config.getoption("--every")
        runs = [(name, board) for name, board in RUNS if every or board in ALWAYS]
        metafunc.parametrize(("name", "board"), runs)


def test_on_boards(
    name: str, board: str, simulated: Callable[[str, Program], Reference], tmp_path: Path
) -> None:
    program = compile_workload(name, board)
    report = assert_bit_exact(program, tmp_path / "out", reference=simulated(name, program))
    # Each loss, and each number of the state.
    states = sum(b.type.size for b in program.of_kind("state"))
    assert report.compared_values == STEPS + states


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize(("compiler", "level"), BUILDS)
def test_on_the_host(
    name: str,
    compiler: str,
    level: str,
    simulated: Callable[[str, Program], Reference],
    tmp_path: Path,
) -> None:
    needs_tool({"clang": "clang-19"}.get(compiler, compiler))
    program = compile_workload(name, "host")
    write_project(program, tmp_path / "out", with_image=False)
    build(load_board("host"), tmp_path / "out", toolchain=compiler, extra_flags=(level,))
    report = verify(tmp_path / "out", reference=simulated(name, program))
    assert report.bit_exact, report.first_mismatch
