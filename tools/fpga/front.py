"""The Pareto front of the reference network's foldings, and the figure of it."""

from pathlib import Path
from typing import Any

from edgetrain.fpga.search import search
from edgetrain.pipeline import compile_model
from edgetrain.workloads import model_file
from tools.fpga.results import REPOSITORY, read

WORKLOAD = "mlp-40-64-32-5-w2a2"
FIGURE = REPOSITORY / "docs" / "figures" / "fpga" / "front.svg"


def measured() -> list[list[float]]:
    """Cycles, look-up tables as estimated, and block RAMs of each folding that none beats."""
    with model_file(WORKLOAD) as path:
        program = compile_model(path, "zcu104")
    front = search(program, whole_front=True).front
    return [[p.cycles, p.luts, p.brams] for p in front]


def draw(path: Path = FIGURE) -> None:
    """Draws what is kept; the same numbers give the same file with the same matplotlib."""
    import matplotlib
    from matplotlib.figure import Figure

    held = read()
    settings: dict[Any, Any] = {"svg.hashsalt": "front", "svg.fonttype": "none"}
    with matplotlib.rc_context(settings):
        canvas = Figure(figsize=(7, 4), layout="constrained")
        axes = canvas.add_subplot(
            xlabel="cycles from the first beat to the last of the answer",
            ylabel="look-up tables, estimated",
            title=f"Foldings of {WORKLOAD} that no other one beats",
            xscale="log",
            yscale="log",
        )
        for name, marker, chosen in (
            ("weights in block RAM", "o", True),
            ("no block RAM", "s", False),
        ):
            points = [p for p in held["front"] if (p[2] > 0) is chosen]
            axes.scatter([p[0] for p in points], [p[1] for p in points], marker=marker, label=name)
        unrolled = next(row for row in held["circuits"] if WORKLOAD in row["commands"][0])
        cell = [unrolled["latency_cycles"]], [unrolled["luts"]]
        axes.scatter(*cell, marker="*", s=120, label="unrolled, synthesised")
        axes.grid(alpha=0.3, which="both")
        axes.legend(fontsize="small")
        path.parent.mkdir(parents=True, exist_ok=True)
        canvas.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
