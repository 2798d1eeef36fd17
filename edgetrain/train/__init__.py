"""Quantisation-aware training on the host: recipes that turn data into a QONNX file."""

import hashlib
import importlib.util
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from edgetrain.can.readers import read
from edgetrain.can.report import Report
from edgetrain.can.table import METADATA_KEY
from edgetrain.compiler.errors import InputError
from edgetrain.train.can_ids import Result, train_can_ids
from edgetrain.train.progress import Progress, silent

RECIPES: Final = {
    "can-ids": "intrusion detector for one vehicle's CAN bus, from clean recordings of its traffic",
}

MAX_SEED = 2**31 - 1


@dataclass(frozen=True)
class TrainReport:
    """What was trained, on what and how that could be read, and how good it is.

    `recordings` is empty where the synthetic bus served.
    """

    recipe: str
    model: str
    model_sha256: str
    recordings: tuple[Report, ...]
    seed: int
    result: Result

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`.

        `accuracy`, `per_class` and `per_kind` are of the 2-bit model on the attacked test traffic,
        the false-positive figures on the same traffic without attacks; `quantised` and `float`
        hold all figures of the model and of its float twin.
        """
        result = self.result
        attacked, clean = result.quantised.attacked.score, result.quantised.clean.score
        return {
            "recipe": self.recipe,
            "model": self.model,
            "model_sha256": self.model_sha256,
            "recordings": [asdict(report) for report in self.recordings],
            "seed": self.seed,
            "epochs": result.epochs,
            "alarm_threshold": result.can.alarm_threshold,
            "accuracy": attacked.accuracy,
            "false_positive_rate": clean.false_positive_rate,
            "false_alarms": clean.false_alarms,
            "clean_seconds": clean.clean_seconds,
            "per_class": {name: asdict(of) for name, of in attacked.per_class.items()},
            "per_kind": {name: asdict(of) for name, of in attacked.per_kind.items()},
            "quantised": result.quantised.to_json(),
            "float": result.float.to_json(),
        }


def train(
    recipe: str,
    data: Sequence[str | Path],
    out: str | Path,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> TrainReport:
    """Trains `recipe` on the files `data` and writes the QONNX file `out`.

    Without data the synthetic bus serves: for demonstrations and tests, its figures mean nothing.
    The same data and seed give the same file on the same machine.  Raises `InputError` for an
    unknown recipe, unfit data, or where the packages for training are not installed.
    """
    if recipe not in RECIPES:
        raise InputError(f"unknown recipe {recipe!r}", remedy=f"recipes: {', '.join(RECIPES)}")
    if not 0 <= seed <= MAX_SEED:
        raise InputError(f"seed {seed} is not within 0 … {MAX_SEED}")
    require_packages()
    out = Path(out)
    if not out.parent.is_dir():
        raise InputError("no such directory", where=str(out.parent))
    if out.is_dir():
        raise InputError("is a directory", where=str(out), remedy="name the file to write")
    recordings = [read(path) for path in data]
    result = train_can_ids([recording.frames for recording in recordings], seed, progress)
    from edgetrain.train.export import to_qonnx, write_model

    progress("export", 0, 1)
    model = to_qonnx(result.network, inputs=result.network[0].in_features)
    model.metadata_props.add(key=METADATA_KEY, value=result.can.serialise())
    write_model(model, out)
    progress("export", 1, 1)
    return TrainReport(
        recipe=recipe,
        model=str(out),
        model_sha256=hashlib.sha256(out.read_bytes()).hexdigest(),
        recordings=tuple(recording.report for recording in recordings),
        seed=seed,
        result=result,
    )


def require_packages() -> None:
    """`InputError` unless torch, brevitas and what its exporter needs are installed."""
    needed = ("torch", "brevitas", "onnxoptimizer", "onnxscript")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"training needs {', '.join(missing)}", remedy="pip install 'edgetrain[train]'"
        )
