"""Every board that can be run here computes what the simulator does, for models of every kind."""

import importlib.util
from collections.abc import Callable
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
from edgetrain.pipeline import compile_model, write_project
from edgetrain.verify import Reference, VerifyReport, simulate_reference, verify
from edgetrain.workloads import find_model
from tests.support import absent, needs_tool
from tests.verify.zoo import DETECTOR, make_program, model_graphs

SAMPLES = 40
FRAMES = 10_000
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
def recorded_reference(recorded: Frames) -> Reference:
    """The verdicts on `recorded`: all classes, alarms confirmed and not."""
    program = compile_model(find_model(DETECTOR))
    reference = simulate_reference(program, samples=FRAMES, frames=recorded)
    # The entry `infer` alone is the network that every frame goes through anyway.
    frames = tuple(series for series in reference.series if series.entry == "can_frame")
    reference = replace(reference, series=frames)
    names = program.entry("can_frame").output_names
    columns = map(np.concatenate, zip(*(series.outputs for series in frames), strict=True))
    verdicts = dict(zip(names, columns, strict=True))
    assert len(verdicts["kind"]) == FRAMES
    assert set(verdicts["kind"].tolist()) == set(range(len(CLASSES)))
    assert {(0, 0), (1, 0), (1, 1)} == set(
        zip(verdicts["alarm"].tolist(), verdicts["confirmed"].tolist(), strict=True)
    )
    return reference


# The detector has no floats: of the RISC-V cores those without a float unit stand for all.
WITHOUT_FLOATS = [
    (name, link) for name, link in EMULATED if not {"f32", "m"} <= set(load_board(name).features)
]


@pytest.mark.parametrize(
    ("name", "link", "toolchain"),
    [(*each, "auto") for each in WITHOUT_FLOATS] + [(b, "unicorn", "zig") for b in ZIG_AND_UNICORN],
)
def test_ten_thousand_frames(
    name: str, link: str, toolchain: str, recorded_reference: Reference, tmp_path: Path
) -> None:
    board = load_board(name)
    needs_link(board, link)
    write_project(compile_model(find_model(DETECTOR), board), tmp_path / "p", toolchain=toolchain)
    report = verify(tmp_path / "p", link=link, reference=recorded_reference)
    assert_exact(report, link, FRAMES)
