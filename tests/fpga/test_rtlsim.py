"""The circuit in Verilator, behind AXI and the link: states, resets, stalls, refusals."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgetrain.board import load_board
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.program import elements, pack
from edgetrain.fpga import rtlsim
from edgetrain.link import Link, open_link
from edgetrain.pipeline import Program
from edgetrain.project import compile_project
from edgetrain.simulator import Simulator
from edgetrain.target import open_target
from edgetrain.verify import verify
from tests.fpga import stub
from tests.fpga.support import write_network
from tests.support import absent, needs_tool


@pytest.fixture
def link(project: Path, program: Program) -> Iterator[Link]:
    with open_target(program, project, "rtlsim") as found:
        yield found


@pytest.mark.parametrize("stalls", ["0", "1", "77"])
def test_it_computes_what_the_simulator_does(
    project: Path, stalls: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ET_STALLS", stalls)
    report = verify(project, samples=200)
    assert report.bit_exact
    assert (report.link, report.compared_values) == ("rtlsim", 200 * 3 + 3 + 10)
    assert report.instructions == {"infer": None}
    cycles = report.cycles["infer"]
    assert cycles is not None
    assert cycles == 3 if stalls == "0" else cycles >= 3


def test_state_is_read_and_written_word_by_word(link: Link, program: Program) -> None:
    held = dict(program.initial)
    buffers = program.of_kind("state")
    for number, buffer in enumerate(buffers):
        found = elements(buffer, link.read_state(number))
        np.testing.assert_array_equal(found, held[buffer.name])
        link.write_state(number, pack(buffer, -held[buffer.name]))
    x = program.buffers[program.entries[0].inputs[0]]
    sent = np.array([3, 4, -8], np.int8)
    answer = link.run(0, pack(x, sent))
    y = program.buffers[program.entries[0].outputs[0]]
    np.testing.assert_array_equal(elements(y, answer.output), sent - held["last"])
    for number, buffer in enumerate(buffers):
        now = {"last": sent, "table": -held["table"]}[buffer.name]
        np.testing.assert_array_equal(elements(buffer, link.read_state(number)), now)
    link.reset()
    for number, buffer in enumerate(buffers):
        found = elements(buffer, link.read_state(number))
        np.testing.assert_array_equal(found, held[buffer.name])


def test_what_is_out_of_range_is_refused_and_changes_nothing(link: Link, program: Program) -> None:
    before = [link.read_state(number) for number in range(2)]
    for wrong in (b"\x00\x08\x00", b"\xf7\x00\x00", b"\x00\x00\x7f"):
        assert link.run(0, wrong).status == 1
    assert [link.read_state(number) for number in range(2)] == before
    x = np.array([-8, 7, 0], np.int8)
    expected = Simulator(program).run("infer", x)[0]
    found = link.run(0, x.tobytes())
    assert (found.status, found.output) == (0, expected.tobytes())


def test_the_image_is_built_once_and_again_after_a_change(project: Path, program: Program) -> None:
    kept = project / "rtlsim"
    built = kept.stat().st_mtime_ns
    with open_target(program, project):
        assert kept.stat().st_mtime_ns == built


def test_a_changed_circuit_is_built_again_and_found_out(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("pyosys") is None:
        absent("pyosys not installed; pip install 'edgetrain[fpga]'")
    copy = tmp_path / "project"
    shutil.copytree(project, copy)
    engine = copy / "src" / "rtl" / "et_engine.v"
    text = engine.read_text()
    assert text.count("x[7:4], last[1]") == 1
    engine.write_text(text.replace("x[7:4], last[1]", "x[7:4], last[2]"))
    later = (copy / "rtlsim").stat().st_mtime + 1
    os.utime(engine, (later, later))
    monkeypatch.setattr(rtlsim, "_verilated", rtlsim._by_cxxrtl)
    report = verify(copy, samples=20, link="rtlsim")
    assert not report.bit_exact
    assert report.first_mismatch is not None
    assert report.first_mismatch.tensor == "y"
    assert report.first_mismatch.index == (1,)


def test_other_links_are_refused(project: Path, program: Program) -> None:
    for link in ("qemu", "unicorn", "nonesuch"):
        with (
            pytest.raises(InputError, match="does not run a circuit; known: auto, rtlsim"),
            open_target(program, project, link),
        ):
            pass
    with pytest.raises(InputError, match="mps2-an386 is no circuit"):
        open_link(load_board("mps2-an386"), project / "rtlsim", "rtlsim")


def without(names: set[str], folder: Path) -> str:
    """A PATH on which everything is but `names`."""
    for directory in os.environ["PATH"].split(os.pathsep):
        for path in Path(directory).glob("*"):
            link = folder / path.name
            if path.name not in names and not link.is_symlink():
                link.symlink_to(path)
    return str(folder)


def test_yosys_stands_in_for_verilator(
    project: Path, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("pyosys") is None:
        absent("pyosys not installed; pip install 'edgetrain[fpga]'")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", without({"verilator"}, tmp_path / "bin"))
    image = tmp_path / "rtlsim"
    rtlsim.build_rtlsim(program, project, image)
    monkeypatch.setenv("ET_STALLS", "5")
    simulator = Simulator(program)
    with open_link(load_board("zcu104"), image, "rtlsim") as link:
        assert link.hello().model_hash.hex() == program.sha256
        link.reset()
        for x in np.random.default_rng(0).integers(-8, 8, (50, 3)).astype(np.int8):
            assert link.run(0, x.tobytes()).output == simulator.run("infer", x)[0].tobytes()
        for number, buffer in enumerate(program.of_kind("state")):
            held = pack(buffer, simulator.state[buffer.name])
            assert link.read_state(number) == held


def test_without_a_simulator_it_says_what_to_install(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(rtlsim, "yosys_version", missing)
    with pytest.raises(InputError, match="Verilator is not installed, nor what stands in for it"):
        rtlsim.build_rtlsim(stub.program(), project, tmp_path / "image")


def missing() -> str:
    raise InputError("pyosys is not installed")


@pytest.mark.parametrize("fold", [None, "unrolled", "{}"])
def test_the_verilog_has_no_warnings(project: Path, fold: str | None, tmp_path: Path) -> None:
    """That of the hand-written engine, and of both forms of a network."""
    if fold is not None:
        if fold == "{}":
            (tmp_path / "fold.json").write_text(fold)
            fold = str(tmp_path / "fold.json")
        project = tmp_path / "project"
        compile_project(write_network(tmp_path / "m.onnx"), "zcu104", directory=project, fold=fold)
    sources = sorted(map(str, (project / "src" / "rtl").glob("*.v")))
    style = ["-Wno-DECLFILENAME", "-Wno-UNUSED"]
    command = ["verilator", "--lint-only", "-Wall", *style, "--top-module", "edgetrain", *sources]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ}, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    needs_tool("iverilog")
    command = ["iverilog", "-g2005", "-Wall", "-o", os.devnull, *sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
