"""Detectors and learning networks in HLS C++: outputs, losses and states are the simulator's."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from edgetrain.can.inject import inject
from edgetrain.can.synthetic import synthetic_bus
from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.program import pack
from edgetrain.compiler.rules import Learning
from edgetrain.pipeline import Program, compile_model
from edgetrain.simulator import Simulator
from edgetrain.verify import draw, frame_inputs
from edgetrain.workloads import find_model
from tests.c.harness import Pair
from tests.hls.harness import random_foldings, simulated
from tests.training.models import random_layers, write_quantised_mlp

DETECTOR = "can-ids-w2a2"
SIZES = (9, 6, 5, 3)
ALL, LAST = Learning(precision="integer"), Learning(precision="integer", update="last")
USUAL: dict[str, tuple[str, str | None, Learning]] = {
    "detector, last layer": (DETECTOR, "sgd", LAST),
    "all layers, momentum": ("w2a2", "momentum", ALL),
    "powers of two": ("w4a4", None, Learning(precision="pow2")),
}
MORE: dict[str, tuple[str, str | None, Learning]] = {
    "detector": (DETECTOR, None, Learning()),
    "detector, all layers": (DETECTOR, "sgd", ALL),
    "batch": ("w8a8", "sgd", replace(ALL, batch=3)),
}
STEPS, STEPS_OF_ONE_LAYER = 200, 1000


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        cases = {**USUAL, **(MORE if metafunc.config.getoption("--every") else {})}
        metafunc.parametrize("case", cases.values(), ids=list(cases))


def compiled(name: str, learn: str | None, how: Learning, scratch: Path) -> Program:
    path = Path(find_model(DETECTOR))
    if name != DETECTOR:
        layers = random_layers(SIZES, seed=3)
        path = write_quantised_mlp(scratch / f"{name}.onnx", *layers, name)
    return compile_model(path, "host", learn=learn, how=how)


def test_programs(case: tuple[str, str | None, Learning], tmp_path: Path) -> None:
    program = compiled(*case, tmp_path)
    steps = STEPS_OF_ONE_LAYER if case[2].update == "last" else STEPS
    rng = np.random.default_rng(11)
    with simulated(program, tmp_path / "csim", random_foldings(program, rng)) as pair:
        for entry in program.entries:
            buffers = [program.buffers[b] for b in entry.inputs]
            if entry.name == "can_frame":
                traffic = frame_inputs(inject(synthetic_bus(6.0, 1), seed=1))
                for inputs in islice(traffic, 200):
                    pair.check(entry, inputs)
                continue
            for _ in range(steps if entry.name == "train_step" else 20):
                pair.check(entry, [draw(rng, buffer) for buffer in buffers])
        pair.check_state()
        _check_state_is_written(pair, rng)
        _check_refusals(pair, rng)


def _check_state_is_written(pair: Pair, rng: np.random.Generator) -> None:
    """What the link writes is what the next call reads."""
    program, infer = pair.program, pair.program.entry("infer")
    for position, buffer in enumerate(program.of_kind("state")):
        drawn = draw(rng, buffer)
        pair.simulator.state[buffer.name] = drawn
        pair.target.write_state(position, pack(buffer, drawn))
    pair.check(infer, [draw(rng, program.buffers[b]) for b in infer.inputs])
    pair.check_state()


def _check_refusals(pair: Pair, rng: np.random.Generator) -> None:
    """What is out of its range changes nothing, and a reset everything."""
    program = pair.program
    for position, entry in enumerate(program.entries):
        buffers = [program.buffers[name] for name in entry.inputs]
        for place, buffer in enumerate(buffers):
            wrong = np.array(-1).astype(storage_dtype(buffer.type.scalar))
            if int(wrong) not in buffer.type.scalar:  # type: ignore[operator]
                inputs = [draw(rng, each) for each in buffers]
                inputs[place] = np.full(buffer.type.shape, wrong)
                assert pair.target.run(position, b"".join(map(pack, buffers, inputs))).status == 1
    pair.check_state()
    pair.target.reset()
    pair.simulator = Simulator(program)
    pair.check_state()
