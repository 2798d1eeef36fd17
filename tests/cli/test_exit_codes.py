"""Whatever goes wrong: the right exit code, one line that says what, and nothing half-written."""

import io
import os
import re
import shlex
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetrain.board import load_board
from edgetrain.cli import cli
from edgetrain.cli_support import run
from edgetrain.toolchain import build
from tests.cli.conftest import SHIPPED, Command, Outcome
from tests.oracles.hostile import hostile_models

HOSTILE = [(name, data) for name, data, expected in hostile_models() if expected == "refuse"]


def refused(found: Outcome) -> bool:
    """Exit code 2 and one line."""
    return (
        found.code == 2
        and found.out == ""
        and found.err.startswith("edgetrain: ")
        and found.err.count("\n") == 1
        and found.err.rstrip("\n").isprintable()
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nonsense", "nonsense"),
        ("compile", "MODEL"),
        ("compile absent.onnx", "absent.onnx: no such file or workload"),
        ("compile .", "."),
        (f"compile {SHIPPED} --board nix", "unknown board 'nix'"),
        (f"compile {SHIPPED} --board '\x1b[2J'", "unknown board"),
        (f"compile {SHIPPED} --learn sgd --precision fp16", "the model is quantised as w2a2"),
        (f"compile {SHIPPED} --learn sgd --precision w0a9", "unknown precision"),
        (f"compile {SHIPPED} --learn magic", "unknown rule 'magic'"),
        (f"compile {SHIPPED} --learn sgd --lr -1", "the learning rate is -1.0"),
        (f"compile {SHIPPED} --loss luck", "luck"),
        (f"compile {SHIPPED} --learn sgd --batch 0", "the batch has 0 samples"),
        (f"compile {SHIPPED} --learn sgd --schedule magic", "magic"),
        (f"compile {SHIPPED} --learn sgd --schedule-steps 0", "the schedule takes 0 steps"),
        (f"compile {SHIPPED} --learn sgd --budget-ram lots", "--budget-ram is 'lots'"),
        (f"compile {SHIPPED} --toolchain rustc", "rustc"),
        (f"compile {SHIPPED} -o x.npy", "x.npy"),
        (f"compile {SHIPPED} -o x.npy/inside", "x.npy"),
        (f"compile {SHIPPED} -o /proc/nowhere/a", "/proc/nowhere"),
        ("compile x.npy", "x.npy"),
        ("verify absent", "absent: no program.json"),
        ("verify . --samples 0", "--samples"),
        ("verify . --seed -1", "--seed"),
        ("simulate absent --input x.npy", "absent"),
        ("simulate absent --input x.npy --labels x.npy", "absent"),
        ("simulate absent --input x.npy --steps 3", "--steps without --labels"),
        ("verify . --steps 0", "--steps"),
        ("bench absent", "absent"),
        ("bench x.npy", "x.npy"),
        ("report absent", "absent"),
        ("train nonsense -o m.onnx", "recipe"),
        ("train can-ids absent.log -o m.onnx", "absent.log"),
        ("train can-ids drive.log -o absent/m.onnx", "absent"),
        (f"evaluate {SHIPPED} absent.log", "absent.log"),
        (f"evaluate {SHIPPED} x.npy", "x.npy"),
        (f"evaluate {SHIPPED} drive.log --from nan", "no time"),
        (f"evaluate {SHIPPED}", "LOG"),
        ("evaluate x.npy drive.log", "x.npy"),
        ("inject absent.log -o a.csv", "absent.log"),
        ("inject drive.log --attacks dos,nix -o a.csv", "unknown attack 'nix'"),
        ("inject drive.log -o absent/a.csv", "absent/a.csv"),
        ("inject drive.log -o .", "."),
        ("refit x.npy drive.log -o m.onnx", "x.npy"),
        (f"refit {SHIPPED} drive.log -o absent/m.onnx", "absent/m.onnx"),
        ("state export absent -o s.npz", "absent"),
        ("state", "COMMAND"),
        ("demo --link serial:/dev/absent", "/dev/absent"),
    ],
)
def test_bad_input_is_refused_in_one_line(
    edgetrain: Command, workshop: Path, line: str, said: str
) -> None:
    before = sorted(workshop.rglob("*"))
    found = edgetrain(line)
    assert refused(found), found
    assert said in found.err
    assert sorted(workshop.rglob("*")) == before


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("state export {0} -o absent/s.npz", "absent/s.npz"),
        ("state import {0} x.npy", "x.npy"),
        ("state import {0} absent.npz", "absent.npz"),
        ("state export {0} -o s.npz --link nix", "link nix"),
        ("verify {0} --link qemu", "the host is its own target"),
        ("simulate {0} --input drive.log", "drive.log"),
        ("simulate {0} --input .", "."),
        ("simulate {0} --input absent.npy", "absent.npy"),
        ("simulate {0} --input x.npy -o absent/y.npz", "absent/y.npz"),
    ],
)
def test_bad_input_beside_a_project(
    edgetrain: Command, workshop: Path, project: Path, line: str, said: str
) -> None:
    before = sorted(workshop.rglob("*"))
    found = edgetrain(line.format(project))
    assert refused(found), found
    assert said in found.err
    assert sorted(workshop.rglob("*")) == before


@pytest.mark.parametrize(("name", "data"), HOSTILE[::6])
def test_hostile_models_are_refused(
    edgetrain: Command, workshop: Path, name: str, data: bytes
) -> None:
    Path("hostile.onnx").write_bytes(data)
    found = edgetrain("compile hostile.onnx --no-build -o out")
    assert refused(found), (name, found)
    assert "hostile.onnx" in found.err
    assert not Path("out").exists()


def npy(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


X = np.zeros((2, 57), np.float32)
ODD_ARRAYS = {
    "empty file": b"",
    "cut": npy(X)[:-1],
    "pickle": npy(np.array([[print] * 57], object)),
    "other width": npy(X[:, 1:]),
    "one row alone": npy(X[0]),
    "no rows": npy(X[:0]),
    "NaN": npy(X * np.nan),
    "texts": npy(np.full((2, 57), "x")),
    "complex": npy(X.astype(complex)),
    "records": npy(np.zeros((2, 57), "i4,i4")),
    "promises a petabyte": npy(X).replace(b"(2, 57)", b"(2" + b"0" * 11 + b", 57)"),
    "negative": npy(X).replace(b"(2, 57)", b"(-2, 57)"),
    "an archive": b"PK\5\6" + bytes(18),
    "code in the header": npy(X).replace(b"(2, 57)", b"exit(3)"),
}


@pytest.mark.parametrize("name", ODD_ARRAYS)
def test_odd_arrays_are_refused(edgetrain: Command, project: Path, name: str) -> None:
    Path("odd.npy").write_bytes(ODD_ARRAYS[name])
    found = edgetrain(f"simulate {project} --input odd.npy -o odd.npz")
    assert refused(found), found
    assert not Path("odd.npz").exists()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=st.floats(0, 1), by=st.binary(min_size=1, max_size=9), drop=st.integers(0, 9))
def test_damaged_arrays_do_no_harm(
    edgetrain: Command, project: Path, at: float, by: bytes, drop: int
) -> None:
    data = npy(X)
    start = int(at * 140)
    Path("odd.npy").write_bytes(data[:start] + by + data[start + drop :])
    found = edgetrain(f"simulate {project} --input odd.npy -q")
    assert found.code == 0 or refused(found), found


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(words=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=4))
def test_any_arguments_do_no_harm(
    workshop: Path, capfd: pytest.CaptureFixture[str], words: list[str]
) -> None:
    code = run(cli, words, "edgetrain")
    found = Outcome(code, *capfd.readouterr())
    assert found.code == 0 or refused(found), found


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"flash_bytes": "many"}', "\x00\xff"])
def test_a_damaged_report_is_refused(edgetrain: Command, project: Path, content: str) -> None:
    whole = (project / "report.json").read_text()
    try:
        (project / "report.json").write_text(content)
        assert refused(edgetrain(f"report {project}"))
    finally:
        (project / "report.json").write_text(whole)


def test_an_earlier_project_survives_a_failed_compile(edgetrain: Command, project: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*")}
    Path("empty.onnx").touch()
    assert refused(edgetrain(f"compile empty.onnx -o {project}"))
    assert {path: path.stat().st_mtime_ns for path in project.rglob("*")} == before


def test_a_mismatch_exits_with_3_and_says_where(edgetrain: Command, workshop: Path) -> None:
    edgetrain(f"compile {SHIPPED} --board host -o tampered -q")
    source = workshop / "tampered" / "src" / "edgetrain.c"
    text = source.read_text()
    # Every weight of the last layer, 8 bits each, becomes 1.
    tampered, count = re.subn(
        r"(static const int8_t et_c\d+\[24\] = ){[^}]*}", rf"\1{{{'1, ' * 24}}}", text
    )
    assert count == 1
    source.write_text(tampered)
    build(load_board("host"), workshop / "tampered")
    found = edgetrain("verify tampered --samples 3 --json")
    assert found.code == 3
    assert found.data["bit_exact"] is False
    assert found.data["mismatches"] > 0
    first = found.data["first_mismatch"]
    assert first["entry"] == "infer"
    assert first["tensor"] == "y"
    assert "matmul" in first["call"]
    message = found.err.strip()
    assert message.startswith("edgetrain: mismatch: infer, sample ")
    where = f"{first['call']}, tensor y{first['index']}: "
    assert f"{where}simulator {first['simulator']}, target {first['target']}" in message
    assert edgetrain("bench tampered").code == 3


def test_an_image_of_another_program_is_refused(edgetrain: Command, project: Path) -> None:
    edgetrain(f"refit {SHIPPED} drive.log -o other.onnx -q")
    edgetrain("compile other.onnx -o other -q --no-build")
    Path("other", "firmware.elf").write_bytes((project / "firmware.elf").read_bytes())
    Path("other", "firmware.elf").chmod(0o755)
    found = edgetrain("verify other")
    assert refused(found)
    assert "another program" in found.err


def test_a_fault_of_the_program_is_one_line(
    edgetrain: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault() -> None:
        raise ZeroDivisionError("tea\nspilt")

    monkeypatch.setattr("edgetrain.doctor.diagnose", fault)
    found = edgetrain("doctor")
    assert (found.code, found.err.count("\n")) == (1, 1)
    assert "ZeroDivisionError: tea spilt; set EDGETRAIN_DEBUG=1" in found.err
    monkeypatch.setenv("EDGETRAIN_DEBUG", "1")
    assert "Traceback" in edgetrain("doctor").err


def process(*arguments: str, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgetrain", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    # Buffered, as for users: what is left in the buffer when Python ends is part of the test.
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        command, text=True, env=environment, **pipes
    )


def test_a_reader_that_leaves_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    child = process("boards", "--json", stdout=writing)
    os.close(writing)
    assert child.communicate()[1] == ""
    assert child.returncode == 128 + signal.SIGPIPE


def test_a_full_disk_is_no_fault_of_the_program() -> None:
    with Path("/dev/full").open("w") as full:
        child = process("boards", stdout=full)
        assert child.communicate()[1] == "edgetrain: No space left on device\n"
    assert child.returncode == 2


def test_closed_streams_do_no_harm() -> None:
    command = f"{shlex.quote(sys.executable)} -m edgetrain boards >&- 2>&-"
    assert subprocess.run(command, shell=True, check=False).returncode == 0


def test_an_interrupt_ends_it_quietly(workshop: Path) -> None:
    os.mkfifo("slow.log")
    # Whoever runs the tests in the background may have them ignore interrupts, and so the child.
    child = process(
        *("inject", "slow.log", "-o", "a.csv"),
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    # Opening waits for the reader, who then waits for a line.
    with Path("slow.log").open("w"):
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=60)[1].strip() == "edgetrain: interrupted"
    assert child.returncode == 128 + signal.SIGINT


def test_state_of_another_shape_is_refused(edgetrain: Command, project: Path) -> None:
    assert edgetrain(f"state export {project} -o state.npz").code == 0
    with np.load("state.npz") as archive:
        state = dict(archive)
    name = next(name for name, array in state.items() if array.ndim == 1)
    for odd in (
        {**state, "more": np.zeros(1)},
        {each: array for each, array in state.items() if each != name},
        {**state, name: state[name][1:]},
        {**state, name: state[name].astype(np.float32)},
        {**state, name: np.full_like(state[name], -1 if state[name].dtype.kind == "i" else 255)},
        {**state, name: np.zeros(10**6)},
    ):
        np.savez("odd.npz", **odd)
        assert refused(edgetrain(f"state import {project} odd.npz")), odd
    with zipfile.ZipFile("odd.npz", "w") as archive_file:
        archive_file.writestr("../escape.npy", npy(np.zeros(1)))
    assert refused(edgetrain(f"state import {project} odd.npz"))
    assert not (project / "state.npz").exists()
