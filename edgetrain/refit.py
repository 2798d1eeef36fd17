"""A trained CAN detector for another vehicle: the same network, a table learned there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgetrain.can.frames import Frames, concatenate
from edgetrain.can.readers import read
from edgetrain.can.report import Report
from edgetrain.can.table import METADATA_KEY, CanModel, fit_table, read_can_model
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.onnx_io.load import import_model
from edgetrain.compiler.onnx_io.metadata import with_metadata
from edgetrain.files import write_file
from edgetrain.workloads import find_model


@dataclass(frozen=True)
class RefitReport:
    """What was written, and how each recording could be read."""

    model: str
    identifiers: int
    frames: int
    recordings: tuple[Report, ...]


def refit_file(model: str | Path, data: Sequence[str | Path], out: str | Path) -> RefitReport:
    """`refit` on recordings; `model` is a file or a workload's name."""
    recordings = [read(path) for path in data]
    clean = concatenate([recording.frames for recording in recordings])
    can = refit(find_model(model), clean, Path(out))
    reports = tuple(recording.report for recording in recordings)
    return RefitReport(str(out), len(can.table), len(clean), reports)


def refit(model: Path, clean: Frames, out: Path) -> CanModel:
    """Writes `model` with a table of identifiers learned on `clean` to `out`.

    Network and alarm threshold stay as they are.  Raises InputError for a model that is no CAN
    detector, and for traffic without frames.
    """
    known = read_can_model(import_model(model).metadata)
    if known is None:
        raise InputError(
            "the model is no CAN detector",
            where=str(model),
            remedy="make one with `edgetrain train can-ids`",
        )
    if not len(clean):
        raise InputError("no frames to learn the table from")
    refitted = replace(known, table=fit_table(clean))
    write_file(out, with_metadata(model, METADATA_KEY, refitted.serialise()))
    return refitted
