"""The tables of docs/fpga.md, of what is kept; imports nothing that measures it."""

from collections.abc import Callable
from typing import Final

from tools.fpga.results import read
from tools.markdown import table


def circuits() -> str:
    rows = [
        (
            row["what"],
            *(f"{row[key]:,g}" for key in ("luts", "ffs", "carries", "dsps", "brams")),
            f"{row['latency_cycles']:,.0f}",
            f"{row['initiation_interval']:,}",
            "<br>".join(f"`edgetrain {command}`" for command in row["commands"]),
        )
        for row in read().get("circuits", [])
    ]
    head = ("circuit", "LUT", "FF", "CARRY4", "DSP", "BRAM", "latency", "interval", "command")
    return table(head, rows)


def estimates() -> str:
    held = read().get("estimates", {})
    rows = [
        (name, str(part["designs"]), *(f"{part[key]:.1%}" for key in ("mean", "median", "worst")))
        for name, part in held.get("errors", {}).items()
    ]
    return table(("designs", "number", "mean error", "median", "greatest"), rows)


TABLES: Final[dict[str, Callable[[], str]]] = {
    "fpga_circuits": circuits,
    "fpga_estimates": estimates,
}
