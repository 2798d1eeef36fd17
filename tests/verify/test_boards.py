"""Every board that can be run here computes what the simulator does, for models of every kind."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from edgetrain.board import Board, all_boards, load_board
from edgetrain.can.frames import Frames, concatenate
from edgetrain.can.inject import inject
from edgetrain.can.kinds import CLASSES
from edgetrain.can.readers import read
from edgetrain.compiler.graph import Graph
from edgetrain.pipeline import Program, compile_model, write_project
from edgetrain.verify import Reference, Series, VerifyReport, simulate_reference, verify
from edgetrain.workloads import find_model
from tests.support import absent, needs_tool
from tests.verify.zoo import DETECTOR, make_program, model_graphs

SAMPLES = 40
FRAMES = 10_000
FEWER = 1_000
"""On boards that need not take ten thousand without --every."""
ZIG_AND_UNICORN = ("mps2-an386", "qemu-rv32imc")  # also with the tools that pip installs alone
EMULATED = [("host", "host"), *((b.name, "qemu") for b in all_boards() if b.qemu)]
SIMULATED = [(b.name, "unicorn") for b in all_boards() if b.unicorn]


def needs_link(board: Board, link: str) -> None:
    """Skip where what runs the board's image is missing."""
    if link == "qemu":
        assert board.qemu is not None
        needs_tool(board.qemu.program)
    if link == "unicorn" and importlib.util.find_spec("unicorn") is None:
        absent("unicorn not installed; pip install 'edgetrain[mcu]'")


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> list[Graph]:
    return model_graphs(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def references(graphs: list[Graph]) -> Callable[[Board], Reference]:
    """Made once for all boards of the same contract: sums are fused where the core can."""

    @cache
    def made(fused: bool) -> Reference:
        board = next(b for b in all_boards() if ("fma32" in b.features) == fused)
        return simulate_reference(make_program(graphs, board), samples=SAMPLES)

    return lambda board: made("fma32" in board.features)


@pytest.fixture(scope="module")
def project(graphs: list[Graph], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The program of `graphs` for a board, by its name, built once."""

    @cache
    def built(board: str) -> Path:
        directory = tmp_path_factory.mktemp("zoo") / "project"
        write_project(make_program(graphs, load_board(board)), directory)
        return directory

    return built


@pytest.mark.parametrize(("name", "link"), sorted(EMULATED + SIMULATED))
def test_models_of_every_kind(
    name: str,
    link: str,
    graphs: list[Graph],
    references: Callable[[Board], Reference],
    project: Callable[[str], Path],
) -> None:
    board = load_board(name)
    needs_link(board, link)
    report = verify(project(name), link=link, reference=references(board))
    assert_exact(report, link, SAMPLES)
    assert report.compared_values > SAMPLES * len(graphs)


def assert_exact(report: VerifyReport, link: str, samples: int) -> None:
    assert report.first_mismatch is None
    assert (report.bit_exact, report.mismatches) == (True, 0)
    assert (report.link, report.samples) == (link, samples)


@pytest.fixture(scope="module")
def recorded(data_dir: Path) -> Frames:
    """A real drive with fresh attacks in it, then with a published one."""
    folder = data_dir / "can" / "volvo-v40-daga"
    clean, flood = (
        read(folder / f"{name}.csv.xz").frames.between(70, 74)
        for name in ("clean", "DenialOfService_lowestID")
    )
    fresh = inject(clean, seed=5)
    return concatenate([fresh[: FRAMES // 2], flood[: FRAMES // 2]])


@pytest.fixture(scope="module")
def recorded_reference(recorded: Frames) -> Callable[[int], Reference]:
    """The verdicts on so many of `recorded`, the first and the last."""

    @cache
    def made(count: int) -> Reference:
        program = compile_model(find_model(DETECTOR))
        frames = concatenate([recorded[: count // 2], recorded[FRAMES - count // 2 :]])
        reference = simulate_reference(program, samples=count, frames=frames)
        # The entry `infer` alone is the network that every frame goes through anyway.
        verdicts = tuple(series for series in reference.series if series.entry == "can_frame")
        assert_varied(program, verdicts, count)
        return replace(reference, series=verdicts)

    return made


def assert_varied(program: Program, series: Sequence[Series], count: int) -> None:
    """Alarms, and frames without; of ten thousand all classes, and alarms confirmed and not."""
    names = program.entry("can_frame").output_names
    columns = map(np.concatenate, zip(*(each.outputs for each in series), strict=True))
    verdicts = dict(zip(names, columns, strict=True))
    assert len(verdicts["kind"]) == count
    assert set(verdicts["alarm"].tolist()) == {0, 1}
    if count == FRAMES:
        assert set(verdicts["kind"].tolist()) == set(range(len(CLASSES)))
        assert {(0, 0), (1, 0), (1, 1)} == set(
            zip(verdicts["alarm"].tolist(), verdicts["confirmed"].tolist(), strict=True)
        )


# The detector has no floats: of the RISC-V cores those without a float unit stand for all.
WITHOUT_FLOATS = [
    (name, link) for name, link in EMULATED if not {"f32", "m"} <= set(load_board(name).features)
]


@pytest.mark.parametrize(
    ("name", "link", "toolchain"),
    [(*each, "auto") for each in WITHOUT_FLOATS] + [(b, "unicorn", "zig") for b in ZIG_AND_UNICORN],
)
def test_recorded_frames(
    name: str,
    link: str,
    toolchain: str,
    recorded_reference: Callable[[int], Reference],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """Ten thousand on the host, a Cortex-M4 and an RV32IMC; with --every on all."""
    board = load_board(name)
    needs_link(board, link)
    always = name in ("host", *ZIG_AND_UNICORN)
    count = FRAMES if always or request.config.getoption("--every") else FEWER
    write_project(compile_model(find_model(DETECTOR), board), tmp_path / "p", toolchain=toolchain)
    report = verify(tmp_path / "p", link=link, reference=recorded_reference(count))
    assert_exact(report, link, count)
