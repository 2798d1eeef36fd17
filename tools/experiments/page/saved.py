"""The table of activations kept in few bits: memory, instructions and accuracy."""

from typing import Final

from tools import markdown
from tools.experiments.page.results import chosen, commits, grouped, spread, values
from tools.experiments.store import Record

HEAD: Final = (
    *("`--save-activations`", "arena, B", "`--batch 16`", "instructions", "accuracy, %", "commit"),
)


def table() -> str:
    """The greatest arena first."""
    rows = []
    runs = grouped(chosen("saved-activations"), "saved")
    for (kind,), records in sorted(runs.items(), key=lambda run: -_arena(run[1])):
        first = records[0].result
        numbers = (first[name] for name in ("arena_bytes", "batch_arena_bytes", "step"))
        costs = (f"{number:,.0f}" for number in numbers)
        name = "–" if kind is None else f"`{kind}`"
        rows.append((name, *costs, spread(values(records, "accuracy")), commits(records)))
    return markdown.table(HEAD, rows)


def _arena(records: list[Record]) -> int:
    arena: int = records[0].result["arena_bytes"]
    return arena
