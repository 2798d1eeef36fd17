"""A trained CAN detector for another vehicle: the same network, a table learned there."""

from dataclasses import replace
from pathlib import Path

from edgetrain.can.frames import Frames
from edgetrain.can.table import METADATA_KEY, CanModel, fit_table, read_can_model
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.onnx_io.load import import_model
from edgetrain.compiler.onnx_io.metadata import replace_metadata


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
    replace_metadata(model, out, METADATA_KEY, refitted.serialise())
    return refitted
