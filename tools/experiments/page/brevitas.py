"""The table of the device beside Brevitas, at each rate."""

from math import log2

from tools import markdown
from tools.experiments.page.results import chosen, commits, grouped, spread, values

LEARNERS = ("device", "brevitas")


def table() -> str:
    """The greatest rate first."""
    rows = []
    runs = grouped(chosen("brevitas"), "rate")
    for (rate,), records in sorted(runs.items(), reverse=True):
        by = grouped(records, "learner")
        found = (spread(values(by.get((learner,), []), "accuracy")) for learner in LEARNERS)
        rows.append((f"2<sup>{log2(rate):.0f}</sup>".replace("-", "−"), *found, commits(records)))
    return markdown.table(("rate", "device, %", "Brevitas, %", "commit"), rows)
