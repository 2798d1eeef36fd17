"""Firmware for every board with every toolchain; every emulator runs it, and they count alike."""

import importlib.util
import struct
from pathlib import Path

import pytest

from edgetrain.board import Board, all_boards, load_board
from edgetrain.compiler.errors import InputError
from edgetrain.link import Link, best_link, open_link
from edgetrain.toolchain import Build, build
from tests.link.firmware import TABLE, build_stub
from tests.support import absent, needs_tool

TARGETS = [board for board in all_boards() if board.architecture != "host"]
EMULATED = [board for board in TARGETS if board.qemu is not None]
SIMULATED = [board for board in TARGETS if board.unicorn is not None]
BUILDS = [(board, name) for board in all_boards() for name in board.toolchain]


def exercise(link: Link, built: Build) -> list[int | None]:
    """Runs every entry, reads and writes every state tensor; the instructions of each run."""
    hello = link.hello()
    assert hello.entries[:3] == ((30, 8), (600, 600), (0, 0))
    counts = []
    for i in range(5):
        x = bytes((i * 31 + j * 7) % 251 for j in range(30))
        result = link.run(0, x)
        assert (result.status, struct.unpack("<ii", result.output)) == (0, (sum(x), i + 1))
        counts.append(result.instructions)
    assert link.run(0, b"\xff" * 30).status == 1
    assert link.read_state(0) == b"\5\0\0\0"
    assert link.read_state(1) == TABLE
    link.write_state(1, TABLE[::-1])
    assert link.read_state(1) == TABLE[::-1]
    link.reset()
    assert (link.read_state(0), link.read_state(1)) == (bytes(4), TABLE)
    assert link.stack_bytes() == 0
    result = link.run(1, bytes(range(100)) * 6)
    assert result.output == bytes(range(100)) * 6
    used = link.stack_bytes()
    # The entry keeps 600 bytes on the stack; the harness's own frame around it is small.
    assert used is not None
    assert 600 <= used <= built.stack_bytes + 64
    return [*counts, result.instructions, link.run(2, b"").instructions]


def simulate(board: Board, built: Build, count: bool) -> list[int | None]:
    if importlib.util.find_spec("unicorn") is None:
        absent("unicorn not installed; pip install 'edgetrain[mcu]'")
    with open_link(board, built.image, "unicorn", count=count) as link:
        assert not link.counts_comparable
        counts = exercise(link, built)
        with pytest.raises(InputError, match="unicorn: "):
            link.run(3, b"")
        return counts


@pytest.mark.parametrize(
    ("board", "toolchain"), BUILDS, ids=[f"{board.name}-{name}" for board, name in BUILDS]
)
def test_builds(board: Board, toolchain: str, tmp_path: Path) -> None:
    built = build_stub(board, tmp_path, toolchain)
    assert 0 < built.flash_bytes < built.image_flash_bytes
    if board.name != "host":
        # State is 4 + 600 bytes, the arena, if it survives, 120; the deepest call keeps 600 bytes.
        assert 604 <= built.ram_bytes - built.stack_bytes <= 724 + 16
        assert 600 <= built.stack_bytes < 700
    assert built.toolchain.startswith(toolchain)


@pytest.mark.parametrize("board", EMULATED, ids=lambda board: board.name)
def test_qemu_runs_it(board: Board, tmp_path: Path) -> None:
    assert board.qemu is not None
    needs_tool(board.qemu.program)
    built = build_stub(board, tmp_path)
    with open_link(board, built.image, "qemu") as link:
        assert link.name == "qemu"
        assert link.counts_comparable
        counts = exercise(link, built)
        with pytest.raises(InputError, match="fault of the processor"):
            link.run(3, b"")
    assert counts[-1] == 1001  # and the return
    assert len(set(counts[:5])) == 1
    if board.unicorn is not None:
        assert simulate(board, built, count=True) == counts


@pytest.mark.parametrize("board", SIMULATED, ids=lambda board: board.name)
def test_unicorn_runs_it(board: Board, tmp_path: Path) -> None:
    assert set(simulate(board, build_stub(board, tmp_path), count=False)) == {None}


@pytest.mark.parametrize(
    ("name", "toolchain"),
    [
        ("mps2-an386", "zig"),
        ("bbc_microbit", "gcc"),
        ("qemu-rv32imc", "zig"),
        ("qemu-rv32imafc", "gcc"),
        ("qemu-rv32-zvfh", "clang"),
        ("qemu-rv64-zvfh", "clang"),
    ],
)
def test_floating_point_with_and_without_hardware(
    name: str, toolchain: str, tmp_path: Path
) -> None:
    board = load_board(name)
    built = build_stub(board, tmp_path, toolchain, "-DET_STUB_FLOAT")
    with open_link(board, built.image, best_link(board)) as link:
        link.hello()
        result = link.run(4, struct.pack("<ff", 3.5, -7.0))
        assert struct.unpack("<ffff", result.output) == (-3.5, -24.5, -0.5, 3.0)
        used = link.stack_bytes()
        assert used is not None
        assert used <= built.stack_bytes + 64


def test_images_are_reproducible(tmp_path: Path) -> None:
    board = load_board("mps2-an386")
    (tmp_path / "a").mkdir()
    (tmp_path / "somewhere else").mkdir()
    first = build_stub(board, tmp_path / "a").image.read_bytes()
    assert first == build_stub(board, tmp_path / "somewhere else").image.read_bytes()
    assert str(tmp_path).encode() not in first


@pytest.mark.parametrize("toolchain", ["zig", "gcc"])
def test_an_image_that_is_too_large_is_refused(toolchain: str, tmp_path: Path) -> None:
    board = load_board("bbc_microbit")
    build_stub(board, tmp_path, toolchain)
    source = tmp_path / "src" / "edgetrain.c"
    before = (tmp_path / "firmware.elf").read_bytes()
    for large in (
        "const unsigned char et_large[300000] = {1};",
        "unsigned char et_large[17000];",
        "unsigned char et_large[12000];",
    ):
        text = source.read_text(encoding="utf-8")
        changed = text.replace("int32_t sum = 0;", "int32_t sum = et_large[et_calls];")
        source.write_text(f'#include "edgetrain.h"\n{large}\n{changed}', encoding="utf-8")
        with pytest.raises(InputError, match="does not fit bbc_microbit's memory"):
            build(board, tmp_path, toolchain=toolchain)
        source.write_text(text, encoding="utf-8")
    assert (tmp_path / "firmware.elf").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["firmware.elf", "src"]
