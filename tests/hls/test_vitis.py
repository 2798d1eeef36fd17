"""The files for Vitis HLS: the testbench finds faults, and the script names files that are there.

No Vitis is here: its commands are replaced by some that write down how they are called.
"""

import subprocess
from pathlib import Path

import onnx
import pytest

from edgetrain.board import load_board
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.rules import Learning
from edgetrain.fpga.csim import ap_types
from edgetrain.fpga.vitis import BENCH, SCRIPT, VECTORS, drawn_calls, print_vitis
from edgetrain.kernels.hls.program import print_hls
from edgetrain.pipeline import compile_model
from tests.hls.harness import FLAGS
from tests.support import absent, needs_tool
from tests.training.models import random_layers, write_quantised_mlp

PART = load_board("zcu104").part
COMMANDS = (
    "open_project",
    "set_top",
    "add_files",
    "open_solution",
    "set_part",
    "create_clock",
    "csim_design",
    "csynth_design",
    "cosim_design",
    "export_design",
)
HOSTILE = '";[exit 1]\n*/ evil'
RECORDING = """\
proc recorded {name arguments} { puts "$name $arguments" }
foreach name {%s} { proc $name args "recorded $name \\$args" }
set argv0 %s
source %s
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of a network that learns its last layer."""
    folder = tmp_path_factory.mktemp("vitis")
    model = write_quantised_mlp(folder / "m.onnx", *random_layers((6, 4, 3), seed=1), "w2a2")
    how = Learning(precision="integer", update="last")
    program = compile_model(model, "host", learn="sgd", how=how)
    lanes = {name: 2 for entry in program.entries for name in (*entry.inputs, *entry.outputs)}
    texts = print_hls(program, {}, bytes(32), "test", lanes=lanes)
    texts |= print_vitis(program, drawn_calls(program, 6), part=PART, lanes=lanes)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_the_bench_tells_right_from_wrong(project: Path) -> None:
    needs_tool("g++")
    try:
        types = ap_types()
    except InputError as error:
        absent(str(error))
    sources = [BENCH, "et_engine.cpp"]
    command = ["g++", "-std=c++14", *FLAGS, "-isystem", str(types), *sources, "-o", "bench"]
    subprocess.run(command, cwd=project, check=True)
    done = subprocess.run("./bench", cwd=project, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split(",")[1]) == (0, " 0 beats wrong\n"), done.stdout
    vectors = (project / VECTORS).read_text()
    other = {"0": "1"}.get(vectors[-2], "0")
    (project / VECTORS).write_text(f"{vectors[:-2]}{other}\n")
    try:
        done = subprocess.run("./bench", cwd=project, capture_output=True, text=True, check=False)
    finally:
        (project / VECTORS).write_text(vectors)
    assert done.returncode == 1
    assert done.stdout.endswith(" 1 beats wrong\n")


def test_the_script_runs_to_its_end(project: Path, tmp_path: Path) -> None:
    needs_tool("tclsh")
    stub = tmp_path / "stub.tcl"
    script = project / SCRIPT
    stub.write_text(RECORDING % (" ".join(COMMANDS), script, script))
    done = subprocess.run(
        ["tclsh", stub], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    # The last command was reached, and every one is among those that Vitis has.
    assert lines[-1][0] == "export_design"
    assert {line[0] for line in lines} == set(COMMANDS)
    added = [line[-1] for line in lines if line[0] == "add_files"]
    assert {"et_engine.cpp", BENCH, VECTORS} <= set(added)
    for name in added:
        assert (project / name).is_file()
    assert ["set_part", PART] in lines
    assert script.read_text().rstrip().endswith("exit")
    # Nothing that is included is left out.
    for name in ("et_engine.cpp", "et_engine.h", "et_hls.h", "et_stream.h", BENCH):
        for line in (project / name).read_text().splitlines():
            if line.startswith('#include "'):
                assert line.split('"')[1] in added


def test_no_name_of_the_model_file_is_printed(tmp_path: Path) -> None:
    path = write_quantised_mlp(tmp_path / "m.onnx", *random_layers((6, 4, 3), seed=1), "w2a2")
    model = onnx.load(path)
    model.graph.name = model.doc_string = HOSTILE
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        value.name += HOSTILE
    for node in model.graph.node:
        node.name = HOSTILE
        for names in (node.input, node.output):
            names[:] = [name and f"{name.removesuffix(HOSTILE)}{HOSTILE}" for name in names]
    onnx.save(model, path)
    for learn in (None, "sgd"):
        how = Learning(precision="integer") if learn else Learning()
        program = compile_model(path, "host", learn=learn, how=how)
        for text in (
            *print_hls(program, {}, bytes(32), "t").values(),
            *print_vitis(program, drawn_calls(program, 2), part=PART).values(),
        ):
            assert "evil" not in text


def test_what_generated_files_say(project: Path) -> None:
    for name in (SCRIPT, "et_engine.cpp", "et_engine.h"):
        assert "not run with Vitis" in (project / name).read_text().splitlines()[0]
