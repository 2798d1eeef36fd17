"""The report page: complete, self-contained, and safe whatever is in the project."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from edgetrain.compiler.plan import ALIGNMENT
from edgetrain.pipeline import open_project
from edgetrain.report import arena_blocks, render
from tests.cli.conftest import Command

HOSTILE = '"><script>alert(1)</script>'


class Page(HTMLParser):
    """Tags, and whether each is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_complete(edgetrain: Command, project: Path) -> None:
    path = edgetrain(f"report {project} --json").data["html"]
    text = Path(path).read_text()
    page = Page(text)
    assert not page.open
    program = open_project(project)
    assert program.sha256 in text
    for buffer in (*program.of_kind("constant"), *program.of_kind("state")):
        assert f'<td class="name">{buffer.name}</td>' in text
    for entry in program.entries:
        assert f"et_{entry.name}" in text
    rows = sum(len(entry.calls) for entry in program.entries)
    assert len(re.findall(r'<tr><td class="n">\d+</td><td>', text)) == rows
    assert "int et_infer(const uint8_t x[57]" in text


def test_the_page_needs_nothing_else(project: Path) -> None:
    text = render(project)
    page = Page(text)
    assert not page.links
    assert not page.tags & {"script", "link", "img", "iframe", "object"}
    assert "url(" not in text
    assert "@import" not in text


def test_the_same_project_gives_the_same_page(project: Path) -> None:
    assert render(project) == render(project)


def test_no_text_of_a_project_becomes_markup(edgetrain: Command, project: Path) -> None:
    """Even of a project that somebody else wrote."""
    edgetrain("compile can-ids-w2a2 -o hostile -q --no-build")
    directory = Path("hostile")
    report = json.loads((directory / "report.json").read_text())
    for name, value in report.items():
        if isinstance(value, str):
            report[name] = value + HOSTILE
    (directory / "report.json").write_text(json.dumps(report))
    text = (directory / "program.json").read_text()
    renamed = text.replace('"can_frame', json.dumps(HOSTILE)[:-1]).replace(
        '"matmul"', json.dumps(HOSTILE)
    )
    (directory / "program.json").write_text(renamed)
    (directory / "src" / "edgetrain.h").write_text(HOSTILE)
    page = render(directory)
    assert "script" not in Page(page).tags
    assert "&lt;script&gt;" in page


def test_blocks_of_the_arena_never_overlap(project: Path) -> None:
    program = open_project(project)
    for entry in program.entries:
        blocks = arena_blocks(program, entry)
        used = np.zeros((len(entry.calls), program.arena_bytes), int)
        for block in blocks:
            used[block.born : block.died + 1, block.offset : block.offset + block.bytes] += 1
        assert used.max() == 1
        assert all(block.offset % ALIGNMENT == 0 for block in blocks)
