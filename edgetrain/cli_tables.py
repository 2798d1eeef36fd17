"""Tables for people."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table


def facts(values: Mapping[str, Any]) -> Table:
    """Two columns: what, and how much; nested values are left to --json."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in values.items():
        if not isinstance(value, (Mapping, list, tuple)):
            table.add_row(name.replace("_", " "), cell(value))
    return table


def listing(head: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> Table:
    """One row a thing; numbers flush right."""
    rows = [list(row) for row in rows]
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        caption=caption or None,
        caption_justify="left",
    )
    for position, title in enumerate(head):
        numbers = bool(rows) and all(isinstance(row[position], (int, float)) for row in rows)
        table.add_column(title, justify="right" if numbers else "left")
    for row in rows:
        table.add_row(*map(cell, row))
    return table


def cell(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)
