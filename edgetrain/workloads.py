"""Models that come with the package, by name."""

from dataclasses import dataclass
from pathlib import Path

from edgetrain.compiler.errors import InputError

MODELS = Path(__file__).resolve().parent / "models"


@dataclass(frozen=True)
class Workload:
    """A shipped model; `phase` is what it is for, and what a benchmark measures by default."""

    name: str
    model: Path
    phase: str
    summary: str


def all_workloads() -> tuple[Workload, ...]:
    """Every shipped model, by name; its summary is the title of its model card."""
    return tuple(
        Workload(path.stem, path, "infer", _title(path.with_suffix(".md")))
        for path in sorted(MODELS.glob("*.onnx"))
    )


def find_model(model: str | Path) -> Path:
    """The file `model`, or the shipped model of that name."""
    path = Path(model)
    if path.exists():
        return path
    for workload in all_workloads():
        if str(model) == workload.name:
            return workload.model
    known = ", ".join(workload.name for workload in all_workloads())
    raise InputError(
        "no such file or workload", where=str(model), remedy=f"workloads: {known or 'none'}"
    )


def _title(card: Path) -> str:
    """The first line of a Markdown file, without its sign."""
    with card.open(encoding="utf-8") as file:
        return file.readline().lstrip("# ").strip()
