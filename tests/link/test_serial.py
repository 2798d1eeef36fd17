"""The link over a serial port: a pseudo-terminal with the host's image at its other end."""

import os
import pty
import subprocess
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetrain.board import load_board
from edgetrain.compiler.errors import InputError
from edgetrain.link import best_link, open_link
from tests.link.firmware import build_stub

BOARD = load_board("nucleo_f446re")


@pytest.fixture
def port(tmp_path: Path) -> Iterator[str]:
    image = build_stub(load_board("host"), tmp_path).image
    target, terminal = pty.openpty()
    tty.setraw(terminal)
    process = subprocess.Popen([image], stdin=target, stdout=target)
    yield os.ttyname(terminal)
    process.kill()
    process.wait()
    os.close(target)
    os.close(terminal)


@pytest.mark.parametrize("speed", ["", ":57600"])
def test_a_board_at_a_port(port: str, speed: str, tmp_path: Path) -> None:
    with open_link(BOARD, tmp_path / "unused.elf", f"serial:{port}{speed}") as link:
        assert link.name == "serial"
        assert not link.counts_comparable
        assert link.hello().tensors == (4, 600)
        for i in range(300):  # past the wrap of the sequence number
            result = link.run(0, bytes([i % 255] * 30))
            assert result.output[4:] == (i + 1).to_bytes(4, "little")
            assert result.instructions is None
    # Whoever comes next begins anew.
    with open_link(BOARD, tmp_path / "unused.elf", f"serial:{port}") as link:
        assert link.hello().tensors == (4, 600)
        assert link.read_state(0) == (300).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("board", "link", "message"),
    [
        ("nucleo_f446re", "serial:/dev/no-such-port", "cannot open the port"),
        ("nucleo_f446re", "serial", "unknown link 'serial'"),
        ("nucleo_f446re", "telepathy", "unknown link 'telepathy'; known: auto, host, qemu"),
        ("nucleo_f446re", "qemu", "QEMU does not model nucleo_f446re"),
        ("nucleo_f446re", "unicorn", "unicorn does not model nucleo_f446re"),
        ("nucleo_f446re", "auto", "no emulator models nucleo_f446re"),
        ("nucleo_f446re", "host", "nucleo_f446re is not the host"),
        ("host", "qemu", "the host is its own target"),
    ],
)
def test_links_that_cannot_be_had(board: str, link: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        open_link(load_board(board), tmp_path / "none.elf", link)
    assert message in str(caught.value)


def test_the_best_link_is_what_is_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert best_link(load_board("host")) == "host"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"no emulator of mps2-an386 is installed"):
        best_link(load_board("mps2-an386"))
    with pytest.raises(InputError, match=r"qemu-system-arm is not installed"):
        open_link(load_board("mps2-an386"), tmp_path / "none.elf", "qemu")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert best_link(load_board("mps2-an386")) == "unicorn"


def test_a_program_that_ends_is_reported(tmp_path: Path) -> None:
    program = tmp_path / "ends"
    program.write_text("#!/bin/sh\necho the last word >&2\nexit 7\n", encoding="utf-8")
    program.chmod(0o755)
    with (
        open_link(load_board("host"), program) as link,
        pytest.raises(InputError, match="the last word: host ended with code 7"),
    ):
        link.hello()
