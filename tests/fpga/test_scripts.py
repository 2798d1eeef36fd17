"""The scripts for Vivado, run by tclsh with recorded commands in the vendor's place."""

import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgetrain.board import load_board
from edgetrain.fpga.circuit import DRIVER_FILE
from edgetrain.networks import threshold_mlp
from edgetrain.project import compile_project
from tests.fpga.support import write_network
from tests.support import needs_tool

STUBS = Path(__file__).resolve().parent / "vendor.tcl"
BOARD = "xilinx.com:zcu104:part0:1.1"
HOSTILE = '"]; exec touch /tmp/x; `define $display // */ "'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scripts")
    compile_project(
        write_network(folder / "m.onnx"), "zcu104", directory=folder / "a name with spaces"
    )
    return folder / "a name with spaces"


def tcl(script: Path, scratch: Path, boards: str = BOARD) -> list[list[str]]:
    """The vendor's commands that the script calls, with their arguments."""
    needs_tool("tclsh")
    record = scratch / "record"
    run = scratch / "run.tcl"
    run.write_text(f"source {{{STUBS}}}\nsource {{{script}}}\n")
    environment = {**os.environ, "ET_RECORD": str(record), "ET_BOARDS": boards}
    done = subprocess.run(
        ["tclsh", str(run)],
        cwd=scratch,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [line.split() for line in record.read_text().splitlines()]


@pytest.mark.parametrize("boards", [BOARD, ""])
def test_the_build_runs_to_its_end(project: Path, tmp_path: Path, boards: str) -> None:
    copy = tmp_path / "project"
    shutil.copytree(project, copy)
    called = tcl(copy / "vivado" / "build.tcl", tmp_path, boards)
    names = Counter(line[0] for line in called)
    assert names["close_project"] == 2
    assert names["launch_runs"] == names["validate_bd_design"] == 1
    assert names["add_files"] == 2 + 2
    assert bool(names["apply_bd_automation"]) == bool(boards)
    part = load_board("zcu104").part
    assert sum(part in line for line in called if line[0] == "create_project") == 2
    deployed = {path.name for path in (copy / "deploy").iterdir()}
    beside = {"edgetrain.bit", "edgetrain.hwh", "hardware.json", "edgetrain_driver.py"}
    assert deployed == beside
    driver = (copy / DRIVER_FILE).read_text()
    for name in beside - {"edgetrain_driver.py"}:
        assert name in driver


def test_every_interface_is_connected_once(project: Path, tmp_path: Path) -> None:
    called = tcl(project / "vivado" / "build.tcl", tmp_path)
    joined = [line[1:] for line in called if line[0] == "connect_bd_intf_net"]
    ends = Counter(end for pair in joined for end in pair)
    assert set(ends.values()) == {1}
    for interface in ("s_axi", "s_axis", "m_axis"):
        assert f"edgetrain/{interface}" in ends
    text = (project / "src" / "rtl" / "edgetrain.v").read_text()
    assert "ASSOCIATED_BUSIF s_axi:s_axis:m_axis" in text
    clocked = {line[2] for line in called if line[0] == "connect_bd_net"}
    assert {"edgetrain/aclk", "edgetrain/aresetn", "dma/axi_resetn"} <= clocked


def test_the_constraints_are_tcl(project: Path, tmp_path: Path) -> None:
    assert tcl(project / "vivado" / "constraints.xdc", tmp_path)


def test_every_script_says_that_it_was_not_run(project: Path) -> None:
    scripts = [*project.glob("vivado/*.*"), *project.glob("src/hls/*.tcl")]
    assert len(scripts) == 4
    for path in scripts:
        text = path.read_text()
        assert "not run with Vi" in text
        assert "@" not in text


def test_no_name_of_a_model_reaches_what_is_generated(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = [rng.integers(-1, 2, shape).astype(np.int8) for shape in ((4, 3), (3, 2))]
    model = threshold_mlp(weights, [np.zeros((3, 3), np.int32)], 2)
    graph = model.graph
    graph.name = graph.doc_string = model.producer_name = HOSTILE
    names: dict[str, str] = {"": ""}

    def renamed(name: str) -> str:
        return names.setdefault(name, f"{HOSTILE}{len(names)}")

    for tensor in (*graph.initializer, *graph.input, *graph.output):
        tensor.name = renamed(tensor.name)
    for node in graph.node:
        node.name = renamed(f"node {node.output[0]}")
        node.input[:] = map(renamed, node.input)
        node.output[:] = map(renamed, node.output)
    for note in graph.quantization_annotation:
        note.tensor_name = renamed(note.tensor_name)
    model.metadata_props.add(key=HOSTILE, value=HOSTILE)
    path = tmp_path / ("model '$(x)` [exec y] \".onnx")
    onnx.save(model, path)
    directory = tmp_path / "project"
    compile_project(path, "zcu104", directory=directory)
    plain = tmp_path / "plain"
    (tmp_path / "m.onnx").write_bytes(
        threshold_mlp(weights, [np.zeros((3, 3), np.int32)], 2).SerializeToString()
    )
    compile_project(tmp_path / "m.onnx", "zcu104", directory=plain)
    for file in (path for path in directory.rglob("*") if path.is_file()):
        relative = file.relative_to(directory)
        assert str(relative).replace("/", "").replace(".", "").replace("_", "").isalnum()
        if file.suffix != ".onnx":
            assert b"touch /tmp" not in file.read_bytes(), relative
        assert (plain / relative).is_file()
