"""Models by name: those that come with the package, and the family of reference networks."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgetrain.compiler.errors import InputError

if TYPE_CHECKING:
    from edgetrain.networks import ReferenceNetwork

MODELS = Path(__file__).resolve().parent / "models"
REFERENCES = ("mlp-64-32-16-5-fp32", "mlp-40-64-32-5-fp16")
"""Of the reference networks, those that are listed; any other sizes are there as well."""


@dataclass(frozen=True)
class Workload:
    """A model; `phase`, infer or train, is what it is for and what a benchmark measures by default.

    `model` is its file; a reference network has none.
    """

    name: str
    phase: str
    summary: str
    model: Path | None = None


def all_workloads() -> tuple[Workload, ...]:
    """Every shipped model, then the reference networks that are listed."""
    from edgetrain.networks import reference_network

    found = [
        Workload(path.stem, "infer", _title(path.with_suffix(".md")), path)
        for path in sorted(MODELS.glob("*.onnx"))
    ]
    for name in REFERENCES:
        network = reference_network(name)
        assert network is not None
        found.append(Workload(name, "train", network.summary))
    return tuple(found)


def _title(card: Path) -> str:
    """The title of a model card."""
    with card.open(encoding="utf-8") as file:
        return file.readline().lstrip("# ").strip()


def find_model(model: str | Path) -> Path:
    """The file `model`, or that of the shipped model of this name."""
    path = Path(model)
    if path.exists():
        return path
    for workload in all_workloads():
        if str(model) == workload.name and workload.model is not None:
            return workload.model
    known = ", ".join(workload.name for workload in all_workloads())
    raise InputError(
        "no such file or workload", where=str(model), remedy=f"workloads: {known or 'none'}"
    )


def find_network(model: str | Path) -> "ReferenceNetwork | None":
    """The reference network that `model` names, unless it is a file."""
    from edgetrain.networks import reference_network

    return None if Path(model).exists() else reference_network(str(model))


@contextmanager
def model_file(model: str | Path) -> Iterator[Path]:
    """The file of `model`, file or workload; that of a reference network is there as long as the
    context lasts."""
    network = find_network(model)
    if network is None:
        yield find_model(model)
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, f"{network.name}.onnx")
        path.write_bytes(network.model().SerializeToString(deterministic=True))
        yield path
