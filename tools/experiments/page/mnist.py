"""The table of MNIST: accuracy and cost in every precision and by every rule."""

from math import log2
from typing import Final

from tools import markdown
from tools.experiments.page.results import chosen, commits, grouped, spread, values
from tools.experiments.store import Record

M4: Final = "mps2-an386"
M55: Final = "mps3-an547"
HEAD: Final = (
    *("precision", "rule", "accuracy, %", "rate", "state, B", "arena, B"),
    *("step on the M4", "on the M55", "commit"),
)


def table() -> str:
    """PyTorch first."""
    rows = []
    runs = grouped(chosen("mnist"), "learner", "precision", "rule")
    for learner, precision, rule in sorted(runs, key=_pytorch_first):
        records = runs[learner, precision, rule]
        costs = []
        if learner == "device":
            costs = chosen("mnist-cost", precision=precision, rule=rule)
        name = f"{precision}, PyTorch" if learner == "pytorch" else precision
        accuracy, rate = spread(values(records, "accuracy")), _rates(records)
        made_by = commits([*records, *costs])
        rows.append((name, f"`{rule}`", accuracy, rate, *_costs(costs), made_by))
    return markdown.table(HEAD, rows)


def _pytorch_first(key: tuple[str, str, str]) -> bool:
    return key[0] != "pytorch"


def _rates(records: list[Record]) -> str:
    """Powers of two."""
    powers = sorted({int(log2(rate)) for rate in values(records, "rate")}, reverse=True)
    return ", ".join(f"2<sup>{power}</sup>".replace("-", "−") for power in powers)


def _costs(records: list[Record]) -> tuple[str, ...]:
    """Bytes on the M4, if it can, else on the M55; instructions on either."""
    by = {record.parameters["board"]: record.result for record in records}
    able = next((by[board] for board in (M4, M55) if "step" in by.get(board, {})), {})
    sizes = [_number(able.get(name)) for name in ("state_bytes", "arena_bytes")]
    return (*sizes, *(_number(by.get(board, {}).get("step")) for board in (M4, M55)))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"
