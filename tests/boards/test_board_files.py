"""Board files: every board's is sound, and an unsound one is refused in one line."""

import re
from pathlib import Path

import pytest

from edgetrain.board import Board, all_boards, load_board, read_board
from edgetrain.compiler.errors import InputError

BOARDS = all_boards()
TARGETS = [board for board in BOARDS if board.memory is not None]
UNITS = {"": 1, "K": 1024, "M": 1024**2}

GOOD = """
name = "thing"
description = "a thing"
silicon = "not tried"
architecture = "cortex_m"
core = "Cortex-M4F"
features = ["thumb2"]
sources = ["cortex_m/startup.c"]
[memory]
flash = { origin = 0, size = 1024 }
ram = { origin = 0x2000_0000, size = 1024 }
[toolchain.gcc]
flags = ["-mthumb"]
"""


def test_the_boards_promised_are_there() -> None:
    assert {board.name for board in BOARDS} >= {
        "host",
        "mps2-an386",
        "mps2-an500",
        "mps2-an505",
        "mps3-an547",
        "qemu-rv32imc",
        "qemu-rv32imafc",
        "qemu-rv32-zfh",
        "qemu-rv32-zvfh",
        "qemu-rv64-zvfh",
        "bbc_microbit",
        "netduinoplus2",
        "hifive1",
        "nucleo_f446re",
        "nrf52840dk",
        "rpi_pico",
        "esp32c3",
        "zcu104",
    }


def test_names_and_aliases_are_unique() -> None:
    names = [name for board in BOARDS for name in (board.name, *board.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_loads_by_name_and_alias(board: Board) -> None:
    for name in (board.name, *board.aliases):
        assert load_board(name) == board


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_can_be_reached(board: Board) -> None:
    """A board is the host, or an emulator models it, or there is a way to flash it; or nothing can
    be built for it, and it says so.  A circuit is simulated."""
    if board.architecture == "fpga":
        assert board.simulators
        return
    if not board.toolchain:
        assert board.silicon == "not compiled"
        return
    assert board.architecture == "host" or board.qemu is not None or board.flasher is not None
    if board.silicon == "emulated only":
        assert board.qemu is not None


@pytest.mark.parametrize("board", TARGETS, ids=lambda board: board.name)
def test_linker_script_agrees_with_the_memories(board: Board) -> None:
    text = (board.folder / "link.ld").read_text(encoding="utf-8")
    assert board.memory is not None
    for name, memory in (("FLASH", board.memory.flash), ("RAM", board.memory.ram)):
        match = re.search(rf"\b{name} \(\w+\) *: ORIGIN = (\w+), LENGTH = (\d+)([KM]?)", text)
        assert match is not None
        origin, size, unit = match.groups()
        assert (int(origin, 0), int(size) * UNITS[unit]) == (memory.origin, memory.size)


def test_unknown_board_names_the_known() -> None:
    with pytest.raises(InputError, match=r"unknown board 'nonesuch'; known: .*mps2-an386"):
        load_board("nonesuch")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("core =", "colour =", "unknown key 'colour'"),
        ('core = "Cortex-M4F"', "", "missing key 'core'"),
        ('core = "Cortex-M4F"', "core = 4", "core: expected str, got 4"),
        ('["thumb2"]', '"thumb2"', "features: expected a list"),
        ('["thumb2"]', "[1]", "features: expected str"),
        ("size = 1024", "size = 1024, colour = 1", "memory: flash: unknown key 'colour'"),
        ("origin = 0,", "origin = true,", "origin: expected int, got True"),
        ("toolchain.gcc", "toolchain.icc", "'icc' is not one of: zig, gcc, clang"),
        ("[memory]", "[qemu", "unreadable board file"),
        ('"cortex_m"', '"avr"', "architecture: 'avr' is not one of"),
        ('"thing"', '"other"', "name 'other' is not its folder's name"),
        ("cortex_m/startup.c", "nothing.c", "no such source: nothing.c"),
        ('flags = ["-mthumb"]', "", "missing key 'flags'"),
        ("[memory]", "[[memory]]", "memory: expected a table"),
        ("toolchain.gcc", "toolchain.clang", "toolchain.clang.link is missing"),
        ('"cortex_m"', '"fpga"', "an FPGA has a part"),
        ("features =", 'part = "a"\nfeatures =', "nothing else has one"),
    ],
)
def test_unsound_files_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    folder = tmp_path / "thing"
    folder.mkdir()
    (folder / "board.toml").write_text(GOOD, encoding="utf-8")
    assert read_board(folder).name == "thing"
    assert old in GOOD
    (folder / "board.toml").write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_board(folder)
    assert message in str(caught.value)
    assert "board.toml" in str(caught.value)
