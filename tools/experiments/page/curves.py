"""The curves of docs/experiments.md: SVG files in docs/figures, drawn from the committed results.

Each file says of what data it is drawn, so that a test can tell whether it is current without
drawing it: other versions of matplotlib draw other bytes.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean
from typing import Any, Final

from tools.experiments.page.results import chosen, grouped
from tools.experiments.store import REPOSITORY

FOLDER: Final = REPOSITORY / "docs" / "figures"


@dataclass(frozen=True)
class Line:
    """Of each x the mean of the seeds' y, and the least and the greatest."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    least: tuple[float, ...]
    greatest: tuple[float, ...]


@dataclass(frozen=True)
class Figure:
    """A picture; `name` is that of its file."""

    name: str
    title: str
    x: str
    y: str
    lines: tuple[Line, ...]

    @property
    def digest(self) -> str:
        """The same for the same picture."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]

    @property
    def up_to_date(self) -> bool:
        """Whether its file shows this."""
        path = FOLDER / f"{self.name}.svg"
        return path.is_file() and self.digest in path.read_text()


def figures() -> Iterator[Figure]:
    """One for each precision in which more than one rule has learned."""
    for (precision,), records in grouped(chosen("mnist", learner="device"), "precision").items():
        rules = grouped(records, "rule").items()
        if len(rules) == 1:
            continue
        lines = [
            _line(rule, [record.result["curve"] for record in of_rule])
            for (rule,), of_rule in rules
        ]
        name = f"mnist-{precision.replace(',', '').replace(' ', '-')}"
        yield Figure(name, f"MNIST, {precision}", "samples", "accuracy, %", tuple(lines))


def _line(label: str, curves: list[list[tuple[float, float]]]) -> Line:
    x = tuple(at for at, _ in curves[0])
    seeds = list(zip(*([value for _, value in curve] for curve in curves), strict=True))
    of = (tuple(round(f(values), 4) for values in seeds) for f in (mean, min, max))
    return Line(label, x, *of)


def images() -> str:
    """All figures, in Markdown."""
    return "".join(f"![{figure.title}](figures/{figure.name}.svg)\n" for figure in figures())


def draw_all() -> None:
    """Brings the files up to date, and deletes those of figures that are no more."""
    FOLDER.mkdir(exist_ok=True)
    wanted = {f"{figure.name}.svg": figure for figure in figures()}
    for path in FOLDER.glob("*.svg"):
        if path.name not in wanted:
            path.unlink()
    for figure in wanted.values():
        if not figure.up_to_date:
            draw(figure)


def draw(figure: Figure) -> None:
    """The same figure gives the same file, with the same version of matplotlib."""
    # Not at the top: the tables of the documentation need no matplotlib.
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    settings: dict[Any, Any] = {"svg.hashsalt": figure.name, "svg.fonttype": "none"}
    with matplotlib.rc_context(settings):
        canvas = Canvas(figsize=(7, 4), layout="constrained")
        axes = canvas.add_subplot(xlabel=figure.x, ylabel=figure.y, title=figure.title)
        for number, line in enumerate(figure.lines):
            style = ("-", "--", ":")[number // 10 % 3]
            (drawn,) = axes.plot(line.x, line.y, style, label=line.label, marker=".")
            axes.fill_between(line.x, line.least, line.greatest, color=drawn.get_color(), alpha=0.2)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
        metadata = {"Date": None, "Creator": None, "Description": figure.digest}
        canvas.savefig(FOLDER / f"{figure.name}.svg", format="svg", metadata=metadata)
