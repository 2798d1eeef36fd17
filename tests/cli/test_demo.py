"""The demo: what it feeds, what it judges, what it prints."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from edgetrain.can.features import extract
from edgetrain.can.table import fit_table
from edgetrain.demo import DemoReport, demo, traffic
from edgetrain.detector import can_model
from edgetrain.evaluate import decide
from edgetrain.pipeline import compile_model
from edgetrain.refit import refit
from edgetrain.verify import frame_inputs
from edgetrain.workloads import find_model
from tests.cli.conftest import SHIPPED


@pytest.fixture(scope="module")
def report(workshop: Path) -> DemoReport:
    return demo(samples=60, link="unicorn")


def printed(report: DemoReport, width: int) -> str:
    file = io.StringIO()
    Console(file=file, width=width).print(report)
    return file.getvalue()


def test_both_boards_are_bit_exact(report: DemoReport) -> None:
    assert report.bit_exact
    assert [run.compiled.board for run in report.runs] == ["mps2-an386", "qemu-rv32imc"]
    for run in report.to_json()["runs"]:
        assert (run["mismatches"], run["link"], run["comparable"]) == (0, "unicorn", False)
        assert run["instructions_can_frame"] > run["instructions"] > 500


def test_the_table_fits_80_columns(report: DemoReport) -> None:
    text = printed(report, 80)
    assert "…" not in text
    for run in report.runs:
        assert run.compiled.board in text
        assert f"{run.verified.instructions['can_frame']:,.0f}*" in text
    assert "not a result" in text
    assert "not comparable" in text


def test_the_same_seed_gives_the_same_report(report: DemoReport) -> None:
    assert json.dumps(demo(samples=60, link="unicorn").to_json()) == json.dumps(report.to_json())


def test_traffic_has_attacks_on_top_of_the_vehicle_that_was_learned() -> None:
    clean, frames = traffic(1000, seed=1)
    assert len(frames) == 1000
    assert not clean.kind.any()
    assert clean.t_us[-1] < frames.t_us[0]
    assert 0.02 < (frames.kind > 0).mean() < 0.4
    table = fit_table(clean)
    assert (table.row(frames[frames.kind == 0]) < len(table)).mean() > 0.99


def test_judging_in_bulk_is_judging_as_the_device_does(workshop: Path, tmp_path: Path) -> None:
    clean, frames = traffic(150, seed=2)
    can = refit(find_model(SHIPPED), clean, tmp_path / "model.onnx")
    program = compile_model(tmp_path / "model.onnx")
    assert can_model(program) == can
    outputs = program.simulator().infer(extract(frames, can.table))
    in_bulk = decide(outputs, can.alarm_threshold)
    device = program.simulator()
    position = program.entry("can_frame").output_names.index("kind")
    one_by_one = [int(device.run("can_frame", *x)[position]) for x in frame_inputs(frames)]
    np.testing.assert_array_equal(in_bulk, one_by_one)
    assert len(set(one_by_one)) > 1
