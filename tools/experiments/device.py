"""A device that learns a stream of samples: its program's C on this machine.

That keeps the sums of the board the program is for, bit for bit, and is some fifty times as fast as
the simulator, which takes the first steps beside it.
"""

import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.board import load_board
from edgetrain.compiler.program import elements, pack
from edgetrain.link import Link, open_link
from edgetrain.pipeline import Program, build_for_host
from edgetrain.simulator import Simulator
from edgetrain.verify import TRAINING, bits

Array = NDArray[Any]


def learn(
    program: Program,
    x: Array,
    targets: Array,
    pauses: Collection[int],
    simulated: int,
) -> Iterator[tuple[int, Simulator]]:
    """Learns the samples `x` (steps, features), in the model file's own domain, and their targets.

    After each number of steps in `pauses` it gives that number and a simulated device with what
    has been learned.  Raises ValueError where the device refuses a step, or where loss or state
    differ from those of the simulator, which takes the first `simulated` steps too.
    """
    entry = program.entry(TRAINING)
    position = program.entries.index(entry)
    sample, target = (program.buffers[name] for name in entry.inputs)
    simulator = program.simulator()
    with tempfile.TemporaryDirectory() as scratch:
        image = build_for_host(program, Path(scratch))
        with open_link(load_board("host"), image, "host") as device:
            for step, (code, label) in enumerate(zip(_codes(program, x), targets, strict=True), 1):
                done = device.run(position, pack(sample, code) + pack(target, np.asarray(label)))
                if done.status:
                    raise ValueError(f"step {step}: refused with status {done.status}")
                if step <= simulated:
                    simulator.run(TRAINING, code, label)
                if step == min(simulated, len(x)):
                    _check(step, simulator.state, read_state(program, device))
                if step in pauses:
                    learned = program.simulator()
                    learned.load_state(read_state(program, device))
                    yield step, learned


def read_state(program: Program, device: Link) -> dict[str, Array]:
    """All state of the device, by name."""
    states = program.of_kind("state")
    return {b.name: elements(b, device.read_state(n)) for n, b in enumerate(states)}


def _codes(program: Program, x: Array) -> Array:
    """`x` as the device takes it."""
    codes = program.input_code.encode(x.reshape(len(x), -1))
    return codes.reshape(len(x), *program.input_code.type.shape)


def _check(step: int, expected: dict[str, Array], actual: dict[str, Array]) -> None:
    for name, array in expected.items():
        if not np.array_equal(bits(array), bits(actual[name])):
            raise ValueError(f"step {step}: {name} differs between simulator and device")
