"""Tables for people."""

from collections.abc import Mapping, Sequence
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


def listing(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Table:
    """One row a thing."""
    table = Table(*columns, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for row in rows:
        table.add_row(*(cell(row[column]) for column in columns))
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
