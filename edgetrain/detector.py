"""A compiled CAN detector on recordings: which model it is, and how good."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Group

from edgetrain.can.readers import read
from edgetrain.can.report import Report
from edgetrain.can.table import METADATA_KEY, CanModel
from edgetrain.compiler.errors import InputError
from edgetrain.evaluate import Evaluation, evaluate
from edgetrain.pipeline import Program, compile_model, open_project
from edgetrain.workloads import find_model


@dataclass(frozen=True)
class RecordingsEvaluation:
    """How good a detector is, and how each recording could be read."""

    evaluation: Evaluation
    recordings: tuple[Report, ...]

    def to_json(self) -> dict[str, Any]:
        """The evaluation's fields, and `recordings`: plain data for `json.dumps`."""
        recordings = [asdict(report) for report in self.recordings]
        return {**self.evaluation.to_json(), "recordings": recordings}

    def __rich__(self) -> Group:
        return self.evaluation.__rich__()


def evaluate_recordings(
    model: str | Path,
    data: Sequence[str | Path],
    *,
    start_s: float = 0.0,
    end_s: float = math.inf,
) -> RecordingsEvaluation:
    """Judges `model` on the recordings `data`, each from `start_s` to `end_s` after its beginning.

    `model` is a model file, a workload's name or a project's directory.  Raises InputError.
    """
    if not 0 <= start_s < end_s:
        raise InputError(f"no time lies from {start_s} to {end_s} s", remedy="change --from, --to")
    program = load_program(model)
    recordings = [read(path) for path in data]
    logs = [recording.frames for recording in recordings]
    if start_s > 0 or end_s < math.inf:
        logs = [log.between(start_s, end_s) for log in logs]
    if not any(map(len, logs)):
        raise InputError("no frame lies in the time range", remedy="change --from, --to")
    evaluation = evaluate(program.simulator().infer, can_model(program), logs)
    return RecordingsEvaluation(evaluation, tuple(r.report for r in recordings))


def load_program(model: str | Path) -> Program:
    """The program of a project's directory, or the one that a model compiles to on the host."""
    path = find_model(model)
    return open_project(path) if path.is_dir() else compile_model(path)


def can_model(program: Program) -> CanModel:
    """The table, threshold and classes that came with the model; InputError if there are none."""
    if METADATA_KEY not in program.metadata:
        raise InputError(
            "the model is no CAN detector", remedy="make one with `edgetrain train can-ids`"
        )
    return CanModel.parse(json.dumps(program.metadata[METADATA_KEY]))
