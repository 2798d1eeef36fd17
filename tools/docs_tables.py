"""Rewrites the tables of README.md and docs/ that are read from the registries, or from results.

A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`; NAME is a key of TABLES.
`make docs` runs this; a test fails where a table is out of date.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

from edgetrain.board import Board, all_boards
from edgetrain.compiler.ops import OPS
from edgetrain.compiler.rules import RULES
from edgetrain.kernels.rtl.registers import REGISTERS
from tools.experiments.page import TABLES as EXPERIMENTS
from tools.fpga.page import TABLES as FPGA
from tools.markdown import table

REPOSITORY = Path(__file__).resolve().parent.parent
_REGION = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def _runs_on(board: Board) -> str:
    if board.architecture == "host":
        return "the computer itself"
    return ", ".join(board.emulators) or "–"


def boards() -> str:
    rows = [
        (f"`{board.name}`", board.description, board.core, _runs_on(board), board.silicon)
        for board in all_boards()
    ]
    return table(("board", "what it is", "core", "emulators", "silicon"), rows)


def ops() -> str:
    rows = [(f"`{name}`", op.summary) for name, op in sorted(OPS.items())]
    return table(("op", "meaning"), rows)


def rules() -> str:
    rows = [
        (
            f"[`{name}`]({name}.md)",
            rule.summary,
            ", ".join(rule.precisions),
            "; ".join(f"`{o.name}` = {o.default:g}: {o.summary}" for o in rule.options) or "–",
        )
        for name, rule in sorted(RULES.items())
    ]
    return table(("rule", "what it does", "precisions", "options and their defaults"), rows)


def registers() -> str:
    rows = [
        (f"`{each.offset:#04x}`", f"`{each.name}`", str(each.words), each.access, each.meaning)
        for each in REGISTERS
    ]
    return table(("offset", "register", "words", "access", "meaning"), rows)


OWN = {"boards": boards, "ops": ops, "rules": rules, "registers": registers}
TABLES: dict[str, Callable[[], str]] = {**OWN, **EXPERIMENTS, **FPGA}


def documents() -> list[Path]:
    return [REPOSITORY / "README.md", *sorted(REPOSITORY.glob("docs/**/*.md"))]


def render(text: str) -> str:
    """`text` with every table brought up to date."""
    return _REGION.sub(lambda found: found[1] + TABLES[found[2]]() + found[3], text)


def main() -> None:
    for path in documents():
        text = path.read_text(encoding="utf-8")
        rendered = render(text)
        if rendered != text:
            scratch = path.with_suffix(".tmp")
            scratch.write_text(rendered, encoding="utf-8")
            os.replace(scratch, path)
            print(f"updated {path.relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
