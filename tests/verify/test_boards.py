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
RUNNABLE = [b for b in all_boards() if b.architecture == "host" or b.qemu or b.unicorn]
# What runs the detector on many frames: the host, all that QEMU models, two with pip's tools alone.
STREAMED = [(b.name, "qemu", "auto") for b in RUNNABLE if b.qemu]
STREAMED += [("host", "host", "auto")]
STREAMED += [(name, "unicorn", "zig") for name in ("mps2-an386", "qemu-rv32imc")]


def links(board: Board) -> list[str]:
    """What can run the board's image; skips where a tool for it is missing."""
    if board.architecture == "host":
        return ["host"]
    found = []
    if board.qemu is not None:
        needs_tool(board.qemu.program)
        found.append("qemu")
    if board.unicorn is not None:
        if importlib.util.find_spec("unicorn") is None:
            absent("unicorn not installed; pip install 'edgetrain[mcu]'")
        found.append("unicorn")
    return found


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> list[Graph]:
    return model_graphs(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def references(graphs: list[Graph]) -> Callable[[Board], Reference]:
    """Made once for all boards of the same contract: sums are fused where the core can."""

    @cache
    def made(fused: bool) -> Reference:
        board = next(b for b in RUNNABLE if ("fma32" in b.features) == fused)
        return simulate_reference(make_program(graphs, board), samples=SAMPLES)

    return lambda board: made("fma32" in board.features)


@pytest.mark.parametrize("board", RUNNABLE, ids=lambda board: board.name)
def test_models_of_every_kind(
    board: Board,
    graphs: list[Graph],
    references: Callable[[Board], Reference],
    tmp_path: Path,
) -> None:
    usable = links(board)
    program = make_program(graphs, board)
    write_project(program, tmp_path / "zoo")
    for link in usable:
        report = verify(tmp_path / "zoo", link=link, reference=references(board))
        assert_exact(report, link, SAMPLES)
        assert report.compared_values > SAMPLES * len(program.entries)


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


@pytest.mark.parametrize(("name", "link", "toolchain"), STREAMED)
def test_ten_thousand_frames(
    name: str, link: str, toolchain: str, recorded_reference: Reference, tmp_path: Path
) -> None:
    board = load_board(name)
    assert link in links(board)
    write_project(compile_model(find_model(DETECTOR), board), tmp_path / "p", toolchain=toolchain)
    report = verify(tmp_path / "p", link=link, reference=recorded_reference)
    assert_exact(report, link, FRAMES)
