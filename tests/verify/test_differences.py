"""verify finds what is wrong with a target, says where, and refuses what it cannot judge."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from edgetrain.board import load_board
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph, GraphBuilder
from edgetrain.compiler.types import Int, TensorType
from edgetrain.pipeline import Program, open_project, write_project
from edgetrain.toolchain import build
from edgetrain.verify import Mismatch, simulate_reference, verify
from tests.verify.zoo import make_program

HIDDEN, OUTPUTS = 6, 5
WEIGHTS = np.arange(HIDDEN * OUTPUTS).reshape(HIDDEN, OUTPUTS) * 3 - 40
START = np.array([7, 0, 9, 0], np.uint8)


def network() -> Graph:
    """x → matmul → argmax; both are results."""
    b = GraphBuilder("infer")
    x = b.input("x", TensorType((HIDDEN,), Int(0, 3)))
    y = b.apply("matmul", x, b.constant(WEIGHTS, Int(-100, 100)))
    b.output("y", y)
    b.output("best", b.apply("argmax", y))
    return b.build()


def memory() -> Graph:
    """A table of which every call replaces one element and returns the one before."""
    b = GraphBuilder("swap")
    at = b.input("at", TensorType((), Int(0, 2)))  # never the last element
    new = b.input("item", TensorType((), Int(0, 200)))
    table = b.state("table", START, Int(0, 255))
    b.output("old", b.apply("take", at, table))
    b.update(table, b.apply("put", table, at, new))
    return b.build()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sound") / "project"
    write_project(make_program([network(), memory()], load_board("host")), directory)
    return directory


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "project"))


def rebuild(project: Path, old: str, new: str) -> None:
    """Change the C at the one place where `old` stands, and the image accordingly."""
    source = project / "src" / "edgetrain.c"
    text = source.read_text()
    assert text.count(old) == 1, old
    source.write_text(text.replace(old, new))
    build(load_board("host"), project)


def first_mismatch(project: Path) -> Mismatch:
    report = verify(project, samples=30)
    assert not report.bit_exact
    assert report.first_mismatch is not None
    assert str(report.first_mismatch.simulator) in str(report.first_mismatch)
    return report.first_mismatch


def drawn(project: Path, entry: str) -> tuple[np.ndarray, ...]:
    """What verify gives to `entry`, a row a sample."""
    program = open_project(project)
    names = program.entry(entry).inputs
    (series,) = (s for s in simulate_reference(program, samples=30).series if s.entry == entry)
    size = sum(program.buffers[name].bytes for name in names)
    rows = np.frombuffer(b"".join(series.inputs), np.uint8).reshape(30, size)
    return tuple(rows.T) if len(names) > 1 else (rows,)


def test_a_sound_image_passes(project: Path) -> None:
    report = verify(project, samples=30)
    assert report.first_mismatch is None
    assert report.compared_values == 30 * (OUTPUTS + 1 + 1) + len(START)


def test_a_wrong_weight_is_found_at_its_output(project: Path) -> None:
    k, n = 4, 3
    column = ", ".join(f"({w})" if w < 0 else f"{w}" for w in WEIGHTS[k - 1 :, n])
    wrong = column.replace(str(WEIGHTS[k, n]), str(WEIGHTS[k, n] + 1))
    rebuild(project, column, wrong)
    (x,) = drawn(project, "infer")
    sample = int(np.flatnonzero(x[:, k])[0])
    y = x[sample].astype(int) @ WEIGHTS
    expected = Mismatch(
        "infer", sample, "call 0 (matmul)", "y", (n,), str(y[n]), str(y[n] + x[sample, k])
    )
    assert first_mismatch(project) == expected


def test_a_wrong_later_call_is_told_from_a_sound_earlier_one(project: Path) -> None:
    rebuild(project, "4 - et_and_32(acc, 7)", "5 - et_and_32(acc, 7)")
    found = first_mismatch(project)
    assert (found.call, found.tensor, found.index) == ("call 1 (argmax)", "best", ())


def test_state_that_no_output_shows_is_compared(project: Path) -> None:
    rebuild(project, "7u, 0u, 9u, 0u,", "7u, 0u, 9u, 1u,")
    expected = Mismatch("swap", 30, "call 1 (put)", "table", (3,), "0", "1")
    assert first_mismatch(project) == expected


def test_a_target_that_refuses_a_sound_input_differs(project: Path) -> None:
    rebuild(project, "item > 200u", "item > 20u")
    _, new = drawn(project, "swap")
    sample = int(np.flatnonzero(new > 20)[0])
    expected = Mismatch("swap", sample, "the check of its inputs", "status", (), "0", "1")
    assert first_mismatch(project) == expected


def test_the_image_of_another_program_is_refused(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_project(make_program([network()], load_board("host")), other)
    shutil.copy(other / "firmware.elf", project / "firmware.elf")
    with pytest.raises(InputError, match="another program"):
        verify(project, samples=1)


def test_what_cannot_be_judged_is_refused(project: Path) -> None:
    foreign = simulate_reference(program_of(network()), samples=2)
    with pytest.raises(InputError, match="another program"):
        verify(project, reference=foreign)
    with pytest.raises(InputError, match="at least one"):
        verify(project, samples=0)
    with pytest.raises(InputError, match="the host is its own target"):
        verify(project, samples=1, link="qemu")
    (project / "firmware.elf").write_bytes(b"#!/bin/sh\nexit 3\n")
    with pytest.raises(InputError, match="ended with code 3"):
        verify(project, samples=1)
    (project / "firmware.elf").unlink()
    with pytest.raises(InputError, match="no image"):
        verify(project, samples=1)


def program_of(graph: Graph) -> Program:
    return make_program([graph], load_board("host"))


def test_a_reference_serves_every_board(project: Path) -> None:
    graphs = [network(), memory()]
    reference = simulate_reference(make_program(graphs, load_board("mps2-an386")), samples=5)
    assert verify(project, reference=reference).bit_exact


def test_a_model_too_large_for_the_link_gets_sources_only(tmp_path: Path) -> None:
    b = GraphBuilder("infer")
    b.output("y", b.apply("relu", b.input("x", TensorType((60_001,), Int(-3, 3)))))
    with pytest.raises(InputError, match="60001 bytes, the link server 60000"):
        write_project(program_of(b.build()), tmp_path / "p")
    assert not (tmp_path / "p").exists()
    write_project(program_of(b.build()), tmp_path / "p", with_image=False)
    assert (tmp_path / "p" / "src" / "edgetrain.c").is_file()
