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

    @property
    def summary(self) -> str:
        """The title of its model card."""
        with self.model.with_suffix(".md").open(encoding="utf-8") as card:
            return card.readline().lstrip("# ").strip()


def all_workloads() -> tuple[Workload, ...]:
    """Every shipped model, by name."""
    return tuple(Workload(path.stem, path, "infer") for path in sorted(MODELS.glob("*.onnx")))


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
