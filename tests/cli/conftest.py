"""A place to work in: a small detector as the shipped model, a drive, and the command line."""

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetrain import workloads
from edgetrain.can.features import COUNT
from edgetrain.can.kinds import CLASSES
from edgetrain.can.synthetic import synthetic_bus
from edgetrain.can.table import METADATA_KEY, CanModel, fit_table
from edgetrain.can.writer import write_csv
from edgetrain.cli import cli
from edgetrain.cli_support import run
from tests.oracles.builder import QONNX, GraphBuilder

SHIPPED = "can-ids-w2a2"
LAST_SCALE = 2.0**-5


@dataclass(frozen=True)
class Outcome:
    """What a command line gave."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """The JSON object on stdout."""
        found: dict[str, Any] = json.loads(self.out)
        return found


Command = Callable[[str], Outcome]


def detector() -> bytes:
    """A 2-bit network of 57-6-4 with random weights, and a table of the synthetic bus."""
    rng = np.random.default_rng(3)
    graph = GraphBuilder()

    def quant(x: str, stem: str, scale: float, bits: int, signed: int) -> str:
        values = {"scale": scale, "zero": 0, "bits": bits}
        constants = [
            graph.constant(f"{stem}.{name}", np.array(value, np.float32))
            for name, value in values.items()
        ]
        attributes = {"rounding_mode": "ROUND", "signed": signed, "narrow": 0}
        return graph.node("Quant", [x, *constants], f"{stem}.out", QONNX, **attributes)

    def dense(x: str, stem: str, shape: tuple[int, int], scale: float, bits: int) -> str:
        weight = graph.constant(f"{stem}.weight", rng.normal(size=shape).astype(np.float32))
        return graph.node("MatMul", [x, quant(weight, stem, scale, bits, 1)], f"{stem}.out")

    x = quant(graph.name("input"), "in", 1.0, 1, 0)
    x = graph.node("Relu", [dense(x, "first", (COUNT, 6), 0.5, 2)], "relu.out")
    x = dense(quant(x, "act", 1.0, 2, 0), "last", (6, len(CLASSES)), LAST_SCALE, 8)
    model = graph.model(("input", COUNT), (x, len(CLASSES)), batch=1, opset=20)
    table = fit_table(synthetic_bus(20.0))
    model.metadata_props.add(key=METADATA_KEY, value=CanModel(CLASSES, 1.0, table).serialise())
    return bytes(model.SerializeToString())


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as edgetrain/models, with the small detector in the place of the shipped one."""
    folder = tmp_path_factory.mktemp("models")
    (folder / f"{SHIPPED}.onnx").write_bytes(detector())
    (folder / f"{SHIPPED}.md").write_text("# A detector for tests\n\nNothing else.\n")
    return folder


@pytest.fixture(scope="module")
def workshop(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory; it holds x.npy (inputs) and drive.log (clean traffic)."""
    place = tmp_path_factory.mktemp("workshop")
    rng = np.random.default_rng(4)
    np.save(place / "x.npy", rng.integers(0, 2, (50, COUNT)).astype(np.float32))
    write_csv(synthetic_bus(25.0), place / "drive.log")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(workloads, "MODELS", models)
        yield place


@pytest.fixture
def edgetrain(workshop: Path, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs `edgetrain LINE` in the workshop."""

    def command(line: str) -> Outcome:
        capfd.readouterr()
        code = run(cli, shlex.split(line.removeprefix("edgetrain ")), "edgetrain")
        return Outcome(code, *capfd.readouterr())

    return command


@pytest.fixture(scope="module")
def project(workshop: Path) -> Path:
    """The detector, compiled for this machine."""
    import edgetrain as et

    et.compile(SHIPPED, "host", directory=workshop / "host")
    return Path("host")
