"""docs/boards.md lists the boards as they are."""

from edgetrain.board import all_boards
from tests.support import REPOSITORY


def test_the_table_of_boards() -> None:
    text = (REPOSITORY / "docs" / "boards.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| `") and line.count("|") == 5
    ]
    table = {cells[0].strip("`"): cells[1:] for cells in rows}
    assert set(table) == {board.name for board in all_boards()}
    for board in all_boards():
        emulators = ", ".join(board.emulators).replace("qemu", "QEMU")
        place = "a process" if board.architecture == "host" else emulators or "–"
        core, *rest = table[board.name]
        assert rest == [place, board.silicon]
        assert board.architecture == "host" or core.startswith(board.core)


def test_every_key_is_documented() -> None:
    text = (REPOSITORY / "docs" / "boards.md").read_text(encoding="utf-8")
    for name in (
        "aliases",
        "silicon",
        "features",
        "sources",
        "irq",
        "hz",
        "ready",
        "commands",
        "part",
        "simulators",
    ):
        assert f"`{name}`" in text or f".{name}`" in text
