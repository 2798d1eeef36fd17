"""Models by name: those that come with the package, the family of reference networks, and networks
of thresholds whose numbers lie with the data."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgetrain.compiler.errors import InputError

if TYPE_CHECKING:
    from edgetrain.networks import ReferenceNetwork

MOST_BYTES = 2**26
MODELS = Path(__file__).resolve().parent / "models"
REFERENCES = ("mlp-64-32-16-5-fp32", "mlp-40-64-32-5-fp16")
"""Of the reference networks, those that are listed; any other sizes are there as well."""
THRESHOLDS = {"mlp-40-64-32-5-w2a2": 2, "mlp-40-64-32-5-w2a2-in8": 8}
"""Files `workloads/NAME.npz` in the folder of data, and the bits of their input."""


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
    """Every shipped model, then the networks of thresholds, then the reference networks that are
    listed."""
    from edgetrain.networks import reference_network

    found = [
        Workload(path.stem, "infer", _title(path.with_suffix(".md")), path)
        for path in sorted(MODELS.glob("*.onnx"))
    ]
    for name, bits in THRESHOLDS.items():
        summary = f"{bits}-bit inputs, ternary weights, thresholds; the last layer's sums out"
        found.append(Workload(name, "infer", summary))
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
    """The reference network that `model` names, unless it is a file or lies with the data."""
    from edgetrain.networks import reference_network

    elsewhere = Path(model).exists() or str(model) in THRESHOLDS
    return None if elsewhere else reference_network(str(model))


def _threshold_network(name: str) -> bytes:
    """The file of a network of THRESHOLDS.  Raises InputError."""
    from edgetrain.files import read_npz
    from edgetrain.networks import threshold_mlp

    folder = Path(os.environ.get("EDGETRAIN_DATA") or Path("..", "shared", "data"))
    path = folder / "workloads" / f"{name}.npz"
    if not path.is_file():
        raise InputError(
            "no such data", where=str(path), remedy="set EDGETRAIN_DATA to the folder of the data"
        )
    held = read_npz(path, MOST_BYTES)
    try:
        weights = [held[f"w{i}"] for i in range(3)]
        model = threshold_mlp(weights, [held["t0"], held["t1"]], THRESHOLDS[name])
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        raise InputError("holds no network of thresholds", where=str(path)) from error
    content: bytes = model.SerializeToString(deterministic=True)
    return content


@contextmanager
def model_file(model: str | Path) -> Iterator[Path]:
    """The file of `model`, file or workload; one that is made is there as long as the context
    lasts."""
    network = find_network(model)
    if network is not None:
        content = network.model().SerializeToString(deterministic=True)
    elif str(model) in THRESHOLDS and not Path(model).exists():
        content = _threshold_network(str(model))
    else:
        yield find_model(model)
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, f"{model}.onnx")
        path.write_bytes(content)
        yield path
