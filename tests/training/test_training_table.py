"""The table of training steps: its text, and its place in the documentation."""

from pathlib import Path

from edgetrain.bench import bench
from edgetrain.training_table import (
    BOARDS,
    OTHER_BOARDS,
    OTHERS,
    REFERENCES,
    SIZES,
    Row,
    as_markdown,
    write_into,
)
from tests.support import REPOSITORY


def test_a_row_says_what_was_measured(tmp_path: Path) -> None:
    report = bench("mlp-7-5-3-fp32", "host", samples=3)
    (_, _, line) = as_markdown([Row(report, "theirs 1")]).splitlines()
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:5] == ["`mlp-7-5-3-fp32`", "`host`", "–", "–", "115"]
    assert cells[6:] == ["232", f"{report.flash_bytes:,}", "yes", "theirs 1"]
    document = tmp_path / "a.md"
    document.write_text("# T\n<!-- measured: training -->\nold\n<!-- end of table -->\nrest\n")
    write_into(document, [Row(report, "theirs 1")])
    text = document.read_text()
    assert line in text
    assert "old" not in text
    assert text.endswith("<!-- end of table -->\nrest\n")


def test_the_documentation_has_every_row() -> None:
    text = (REPOSITORY / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    pairs = [(name, board) for name in REFERENCES for board in BOARDS[name[-4:]]]
    assert OTHERS.keys() <= set(pairs)
    for precision, boards in OTHER_BOARDS.items():
        pairs += [(f"mlp-{sizes}-{precision}", board) for sizes in SIZES for board in boards]
    rows = [line for line in text.splitlines() if line.startswith("| `mlp-")]
    assert [tuple(row.replace("`", "").split(" | ")[:2]) for row in rows] == [
        (f"| {name}", board) for name, board in pairs
    ]
    assert all("| yes |" in row for row in rows)
