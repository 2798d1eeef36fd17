"""`make bench`: what training steps cost, and how fast simulator and compiler are, beside others.

Times of one run on one machine; only the ratios mean something elsewhere.  The rounds of all
contestants alternate, so that a change of the machine's speed meets them alike.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import onnx
from rich.console import Console
from rich.table import Table

from edgetrain.networks import float_mlp
from edgetrain.pipeline import compile_model
from edgetrain.training_table import as_markdown, training_rows, write_into

SHIPPED = Path(__file__).resolve().parent / "models" / "can-ids-w2a2.onnx"
BATCH = 4096
ROUNDS = 31


@dataclass(frozen=True)
class Timing:
    """Seconds for one batch, median over the rounds, and the simulator's speed relative to it."""

    name: str
    seconds: float
    simulator_is_faster_by: float


def random_mlp(sizes: Sequence[int]) -> onnx.ModelProto:
    """A float network of linear layers of `sizes` with ReLU between them."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=pair).astype(np.float32) for pair in pairwise(sizes)]
    return float_mlp(weights, [rng.normal(size=n).astype(np.float32) for n in sizes[1:]])


def with_batch(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """`model` for another batch size; intermediate shapes are left to be inferred."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for value in (copy.graph.input[0], copy.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    return copy


def simulator_speed(model: Path) -> list[Timing]:
    """The simulator beside QONNX's executor on `model` and onnxruntime on a float twin."""
    import onnxruntime
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    program = compile_model(model)
    simulator = program.simulator()
    sizes = [program.input_code.type.size]
    for call in program.entry("infer").calls:
        if call.op == "matmul":
            sizes.append(program.buffers[call.outputs[0]].type.size)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (BATCH, sizes[0])).astype(np.float32)

    session = onnxruntime.InferenceSession(random_mlp(sizes).SerializeToString())
    reference = ModelWrapper(with_batch(onnx.load(model), BATCH)).transform(InferShapes())
    source = reference.graph.input[0].name

    names = {
        "edgetrain simulator": lambda: simulator.infer(x),
        "onnxruntime, float MLP of the same shape": lambda: session.run(None, {"x": x}),
        "QONNX's executor": lambda: execute_onnx(reference, {source: x}),
    }
    seconds = _alternate(names)
    own = seconds["edgetrain simulator"]
    return [Timing(name, s, s / own) for name, s in seconds.items()]


def _alternate(contestants: dict[str, Callable[[], Any]]) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(ROUNDS + 1):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            if turn:  # the first warms up
                times[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in times.items()}


def compile_seconds(model: Path) -> dict[str, float]:
    """Wall seconds of the whole command, without and with an image (by zig)."""
    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, extra in (
            ("compile --no-build", ["--no-build"]),
            ("compile --toolchain zig", ["--toolchain", "zig"]),
        ):
            command = [sys.executable, "-m", "edgetrain", "compile", str(model)]
            command += ["--board", "mps2-an386", "-o", f"{scratch}/out", "-q", *extra]
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            results[name] = time.perf_counter() - start
    return results


@click.command()
@click.option("--model", type=click.Path(path_type=Path), default=SHIPPED)
@click.option("--json", "as_json", is_flag=True)
@click.option("--training", is_flag=True, help="Measure training steps alone.")
@click.option(
    "--write", type=click.Path(path_type=Path, exists=True), help="Put their table into this file."
)
def main(model: Path, as_json: bool, training: bool, write: Path | None) -> None:
    """Print the tables."""
    rows = training_rows()
    if write is not None:
        write_into(write, rows)
    if training:
        print(as_markdown(rows))
        return
    speed, compiling = simulator_speed(model), compile_seconds(model)
    if as_json:
        steps = [asdict(row) for row in rows]
        print(
            json.dumps(
                {"simulator": [asdict(t) for t in speed], "compile": compiling, "training": steps}
            )
        )
        return
    print(as_markdown(rows))
    console = Console()
    table = Table("", "ms", "× simulator", title=f"inference, batch {BATCH}")
    for timing in speed:
        ratio = f"{timing.simulator_is_faster_by:.2f}"
        table.add_row(timing.name, f"{timing.seconds * 1e3:.3f}", ratio)
    console.print(table)
    table = Table("", "s", title="the command, start to end")
    for name, seconds in compiling.items():
        table.add_row(name, f"{seconds:.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
