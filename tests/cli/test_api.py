"""`import edgetrain as et`: quick, typed by name, and the same functions whatever came before."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgetrain as et
from edgetrain.can.features import COUNT
from tests.cli.conftest import LAST_SCALE, SHIPPED


def python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


def test_importing_it_imports_nothing_heavy() -> None:
    code = "import sys, edgetrain, edgetrain.cli; print(*sys.modules)"
    heavy = {"torch", "onnx", "onnxruntime", "qonnx", "brevitas", "numpy", "unicorn", "serial"}
    assert not heavy & set(python(code).split())


@pytest.mark.parametrize(
    "before",
    [
        "",
        "import edgetrain.verify, edgetrain.evaluate, edgetrain.train, edgetrain.bench",
        "from edgetrain.demo import demo",
    ],
)
def test_functions_are_not_hidden_by_modules_of_their_name(before: str) -> None:
    code = (
        f"{before}\nimport edgetrain as et\nprint(*(callable(getattr(et, n)) for n in et.__all__))"
    )
    assert set(python(code).split()) == {"True", "False"}  # __version__ alone is no function
    assert python(code).split().count("False") == 1


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        getattr(et, "nonsense")  # noqa: B009
    assert set(et.__all__) <= set(dir(et))


def test_compile_writes_nothing_unless_asked(workshop: Path) -> None:
    before = sorted(workshop.rglob("*"))
    program = et.compile(SHIPPED)
    x = np.zeros((3, COUNT), np.float32)
    outputs, codes = program.simulator().infer(x), program.simulator().infer(x, raw=True)
    np.testing.assert_array_equal(outputs, codes * np.float32(LAST_SCALE))
    assert sorted(workshop.rglob("*")) == before
    with pytest.raises(et.InputError, match="no such file"):
        et.compile("absent.onnx")


def test_the_library_gives_what_the_command_line_shows(project: Path) -> None:
    report = et.verify(project, samples=20)
    assert report.bit_exact
    assert report.compared_values > 20 * 4
    measured = et.bench(project, samples=2)
    assert measured.bit_exact
    # 57·6 and 6·4 products.
    assert (measured.macs, measured.board) == (366, "host")
    assert measured.weights_bytes == et.compile(SHIPPED).weights_bytes
