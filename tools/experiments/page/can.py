"""The tables of intrusion detection: which share of the frames raises an alarm."""

from typing import Final

from tools import markdown
from tools.experiments.page.results import chosen, commits, grouped, spread, values
from tools.experiments.store import Record

RATES: Final = {"1e-04": "10<sup>−4</sup>", "1e-03": "10<sup>−3</sup>"}
"""The rates of false alarms that thresholds are chosen for, by their names in results."""
LOWEST: Final = next(iter(RATES))
LEARNED: Final = {"none": "before", "last": "last layer", "all": "all"}
FORM: Final = (".2f", ".5f")
"""Of recall, and of false alarms."""
BOARDS: Final = ("mps2-an386", "mps3-an547")
COSTS: Final = (
    *("network", "learns on the device", "state, B", "arena, B"),
    *("inference on the M4", "step", "inference on the M55", "step", "commit"),
)
NAMES: Final = {
    "none": "nothing",
    "all": "all",
    "last": "last layer",
    "biases": "biases",
    "last,biases": "last layer, biases",
    "last,w1[0:8],w0[0:16]": "last layer, a quarter of the others' channels",
}
"""What learns on the device, in the order of the tables."""


def drift() -> str:
    """Before, after, and trained again on everything."""
    records = chosen("drift")
    rows: dict[tuple[str, ...], list[Record]] = {
        (_left_out(left_out), NAMES[update]): of_row
        for (left_out, update), of_row in sorted(
            grouped(records, "left_out", "update").items(), key=_by_update
        )
    }
    return _recall(("left out", "learns on the device"), rows)


def vehicle() -> str:
    """The Ford."""
    rows: dict[tuple[str, ...], list[Record]] = {
        (NAMES[update],): of_row
        for (update,), of_row in sorted(
            grouped(chosen("vehicle"), "update").items(), key=_by_update
        )
    }
    return _recall(("learns on the device",), rows)


def costs() -> str:
    """What a step takes, beside an inference."""
    rows = []
    groups = grouped(chosen("can-cost"), "network", "update").items()
    for (network, update), records in sorted(groups, key=_by_update):
        by = {record.parameters["board"]: record.result for record in records}
        state, arena = (f"{values(records, name)[0]:,}" for name in ("state_bytes", "arena_bytes"))
        counts = [
            f"{by[board][entry]:,.0f}" if board in by else "–"
            for board in BOARDS
            for entry in ("infer", "step")
        ]
        rows.append((network, NAMES[update], state, arena, *counts, commits(records)))
    return markdown.table(COSTS, rows)


def _by_update(row: tuple[tuple[str, ...], list[Record]]) -> tuple[object, ...]:
    """Sorts by all but the last of a row's names, then by what learns; without anything left out
    comes last."""
    *others, update = row[0]
    return "none" in others, others, [*NAMES].index(update)


def _left_out(kinds: str) -> str:
    return "nothing, trained again" if kinds == "none" else kinds.replace("+", ", ")


def _recall(head: tuple[str, ...], rows: dict[tuple[str, ...], list[Record]]) -> str:
    """A column for each kind of frame, at the lowest rate of false alarms."""
    kinds = next(([*each[0].result[LOWEST]] for each in rows.values()), [])
    lines = [
        (*name, *(_cell(records, LOWEST, kind) for kind in kinds), commits(records))
        for name, records in rows.items()
    ]
    return markdown.table((*head, *kinds, "commit"), lines)


def benign() -> str:
    """A table for each width in bits; a row for each attack, at both rates before and after."""
    return "\n".join(
        _benign(f"w{bits}a{bits}", records)
        for (bits,), records in grouped(chosen("benign"), "bits").items()
    )


def _benign(name: str, records: list[Record]) -> str:
    columns = [(rate, update) for rate in RATES for update in LEARNED]
    head = [f"{RATES[rate]}, {LEARNED[update]}" for rate, update in columns]
    rows = []
    for (vehicle,), of_vehicle in grouped(records, "vehicle").items():
        by = {update: each for (update,), each in grouped(of_vehicle, "update").items()}
        for kind in of_vehicle[0].result[columns[0][0]]:
            cells = [_cell(by.get(update, []), rate, kind) for rate, update in columns]
            rows.append((vehicle, kind, *cells))
    table = markdown.table((f"{name}: traffic", "frames", *head), rows)
    return f"{table}\nCommit: {commits(records)}.\n"


def _cell(records: list[Record], rate: str, kind: str) -> str:
    return spread([shares[kind] for shares in values(records, rate)], FORM[kind == "clean"])
