"""`compile --board zcu104`: the files of the project, and what is refused."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgetrain.bench import bench
from edgetrain.compiler.errors import InputError
from edgetrain.fpga import csim
from edgetrain.fpga.circuit import Circuit
from edgetrain.fpga.hardware import read_hardware
from edgetrain.fpga.simulators import simulator_image
from edgetrain.kernels.rtl.axi import print_top
from edgetrain.kernels.rtl.engine import Tensor
from edgetrain.kernels.rtl.registers import REGISTERS
from edgetrain.pipeline import open_project, read_report
from edgetrain.project import compile_project
from edgetrain.report import render
from edgetrain.verify import verify
from tests.fpga.support import write_network
from tests.support import absent


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("circuit")
    model = write_network(folder / "model.onnx")
    compile_project(model, "zcu104", directory=folder / "project")
    return folder / "project"


def contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def test_nothing_but_python_is_needed(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    model = write_network(tmp_path / "model.onnx")
    compile_project(model, "xczu7ev", directory=tmp_path / "again")
    assert contents(tmp_path / "again") == contents(project)
    report = read_report(project)
    assert (report.board, report.calls) == ("zcu104", 3)
    assert report.flash_bytes is report.ram_bytes is report.stack_bytes is None


def test_the_description_is_that_of_the_circuit(project: Path) -> None:
    program, hardware = open_project(project), read_hardware(project)
    table = json.loads((project / "hardware.json").read_text())
    assert table["program_sha256"] == program.sha256
    assert table["part"] == "xczu7ev-ffvc1156-2-e"
    assert [each["name"] for each in table["registers"]] == [r.name for r in REGISTERS]
    places = [r.offset + 4 * i for r in REGISTERS for i in range(r.words)]
    assert len(places) == len(set(places))
    (ports,) = hardware.engine.entries
    assert (ports.name, ports.interval, ports.inputs[0].beats) == ("infer", 1, 1)


def test_the_page_shows_the_circuit(project: Path, tmp_path: Path) -> None:
    page = render(project)
    assert "Unrolled for xczu7ev-ffvc1156-2-e" in page
    assert "flash, bytes" not in page
    model = write_network(tmp_path / "model.onnx")
    compile_project(model, "zcu104", directory=tmp_path / "folded", target_latency=400)
    page = render(tmp_path / "folded")
    assert "<td><code>matmul_0</code></td>" in page
    assert page.count('class="chosen"') == 1
    assert read_report(tmp_path / "folded").form == "folded"


def test_it_verifies_in_c_simulation(project: Path) -> None:
    if not csim.available():
        absent("no C++ compiler, or no ap_int.h: pip install 'edgetrain[fpga]'")
    with simulator_image(open_project(project), project, "csim"):
        report = verify(project, samples=100, link="csim")
    assert report.bit_exact
    assert report.link == "csim"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"board": "host"}, None),
        ({"fold": "auto", "board": "host"}, "host is no FPGA: nothing of it is folded"),
        ({"target_latency": 9, "board": "host"}, "host is no FPGA"),
        (
            {"budget_luts": 900, "fold": "unrolled"},
            "budgets are for foldings that are looked for; use --fold auto",
        ),
        ({"learn": "sgd"}, "sgd|not supported"),
    ],
)
def test_options_that_do_not_fit(
    options: dict[str, object], message: str | None, tmp_path: Path
) -> None:
    model = write_network(tmp_path / "model.onnx")
    how = {"board": "zcu104", **options}
    if message is None:
        compile_project(model, **how)  # type: ignore[arg-type]
        return
    with pytest.raises(InputError, match=message):
        compile_project(model, directory=tmp_path / "out", **how)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_what_computes_floats_is_refused() -> None:
    with pytest.raises(InputError, match="infer with floats; train it quantised"):
        compile_project("mlp-64-32-16-5-fp32", "zcu104")
    with pytest.raises(InputError, match="train_step with floats; learn with --precision integer"):
        compile_project("can-ids-w2a2", "zcu104", learn="sgd")


def test_more_states_than_registers_name_are_refused(project: Path) -> None:
    engine = read_hardware(project).engine
    many = (Tensor("s", (), 8, False, 1, 1),) * 257
    with pytest.raises(InputError, match="1 entries and 257 states are more than the 256"):
        print_top(replace(engine, tensors=many), bytes(32), "0")


def test_a_damaged_description_is_refused(project: Path, tmp_path: Path) -> None:
    for text in ("", "{}", '{"entries": 3}', "[" * 100):
        (tmp_path / "hardware.json").write_text(text)
        with pytest.raises(InputError, match="cannot be read; compile the model again"):
            read_hardware(tmp_path)


def test_a_benchmark_counts_cells_and_cycles(project: Path) -> None:
    if not csim.available():
        absent("no C++ compiler, or no ap_int.h: pip install 'edgetrain[fpga]'")
    if importlib.util.find_spec("pyosys") is None:
        absent("pyosys not installed; pip install 'edgetrain[fpga]'")
    (ports,) = read_hardware(project).engine.entries
    report = bench(project, link="csim", samples=5)
    assert report.bit_exact
    assert (report.latency_cycles, report.initiation_interval) == (ports.cycles, 1)
    assert (report.dsps, report.brams) == (0, 0)
    assert report.luts is not None
    assert 20 < report.luts < 400
    assert report.instructions is report.flash_bytes is None
    assert report.toolchain is not None
    assert report.toolchain.startswith("Yosys ")


def test_a_project_is_folded_already(project: Path) -> None:
    with pytest.raises(InputError, match="is folded already"):
        bench(project, circuit=Circuit("auto"))
