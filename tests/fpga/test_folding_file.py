"""Foldings on file, as FINN has them or by our own names."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.folding import Folding
from edgetrain.fpga.folding_file import allowed, read_foldings
from edgetrain.fpga.hardware import read_hardware
from edgetrain.pipeline import Program, compile_model
from edgetrain.project import compile_project
from tests.fpga.support import SIZES, write_network


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return compile_model(write_network(tmp_path / "model.onnx"), "zcu104")


def written(folder: Path, content: Any) -> Path:
    path = folder / "fold.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, {}),
        ({"Defaults": {"ram_style": "auto"}}, {}),
        ({"MVAU_0": {"PE": 4, "SIMD": 5}}, {"matmul_0": Folding(4, 5)}),
        ({"MVAU_hls_1": {"PE": 3, "SIMD": 2}}, {"matmul_1": Folding(3, 2)}),
        ({"MVAU_rtl_0": {"PE": 8, "mem_mode": "const"}}, {"matmul_0": Folding(8, 1)}),
        (
            {"matmul_1": {"SIMD": 8}, "threshold_0": {"PE": 2}},
            {
                "matmul_1": Folding(1, 8),
                "threshold_0": Folding(2, 1),
            },
        ),
    ],
)
def test_names_and_lanes(
    program: Program, tmp_path: Path, content: Any, expected: dict[str, Folding]
) -> None:
    assert read_foldings(written(tmp_path, content), program) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[" * 10**5, "cannot be read as JSON"),
        ("[]", "is no object of layers"),
        ({"MVAU_2": {"PE": 1}}, "no layer 'MVAU_2'; layers: matmul_0, threshold_0, matmul_1"),
        ({"conv": {}}, "no layer 'conv'"),
        ({"MVAU_0": 3}, "MVAU_0: is no object"),
        ({"MVAU_0": {"PE": 0}}, "PE and SIMD are no whole numbers from 1 on"),
        ({"MVAU_0": {"PE": True}}, "PE and SIMD are no whole numbers from 1 on"),
        ({"MVAU_0": {"SIMD": 2.0}}, "PE and SIMD are no whole numbers from 1 on"),
        ({"MVAU_0": {"PE": 3}}, "PE 3 and SIMD 1 do not fit the layer; PE: 1, 2, 4, 8; SIMD: 1, 2"),
    ],
)
def test_what_fits_no_layer_is_refused(
    program: Program, tmp_path: Path, content: Any, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_foldings(written(tmp_path, content), program)
    assert message in str(caught.value).replace(f"{tmp_path}/fold.json: ", "")
    with pytest.raises(InputError, match="cannot be read"):
        read_foldings(tmp_path / "nonesuch.json", program)


def test_every_folding_allowed_divides_its_layer(program: Program) -> None:
    inputs, hidden, _ = SIZES
    for folding in allowed(program)["matmul_0"]:
        assert hidden % folding.pe == inputs % folding.simd == 0


def test_a_project_is_folded_as_the_file_says(tmp_path: Path) -> None:
    model, path = write_network(tmp_path / "m.onnx"), written(tmp_path, {"MVAU_0": {"PE": 8}})
    compile_project(model, "zcu104", directory=tmp_path / "project", fold=str(path))
    hardware = read_hardware(tmp_path / "project")
    assert (hardware.form, hardware.foldings) == ("folded", {"matmul_0": Folding(8, 1)})
