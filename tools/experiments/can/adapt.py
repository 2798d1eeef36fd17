"""A network that goes on learning as a device has it, from where its training on the host ended."""

import tempfile
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import onnx
from numpy.typing import NDArray

from edgetrain.compiler.rules import Learning
from edgetrain.pipeline import Program, compile_model
from edgetrain.train.export import to_qonnx, write_model
from tools.experiments import device
from tools.experiments.can.traffic import Features
from tools.experiments.data import cached
from tools.experiments.store import CODE

BOARD: Final = "mps2-an386"
SIMULATED: Final = 100
"""The steps that the simulator takes too."""

Outputs = Callable[[Features], NDArray[Any]]
"""Of a network, (n, outputs)."""


@lru_cache(maxsize=8)
def _exported(network: Any) -> onnx.ModelProto:
    """`network`, which nothing changes any more, as QONNX."""
    return to_qonnx(network, inputs=network[0].in_features)


def program(network: Any, how: Learning, board: str = BOARD) -> Program:
    """Of a torch network of binary inputs, which learns by plain SGD."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "net.onnx")
        write_model(_exported(network), path)
        return compile_model(path, board, learn="sgd", how=how)


def adapt(
    network: Any, x: Features, targets: NDArray[Any], *, update: str, rate: float, loss: str
) -> Outputs:
    """Its outputs after a step on each of the samples, in order; the rate falls to zero in a line.

    `update` says what learns, as `edgetrain compile --update` has it.
    """
    how = Learning(
        loss=loss,
        rate=rate,
        schedule="linear",
        schedule_steps=len(x),
        schedule_factor=0.0,
        update=update,
    )
    learning = device.learn(program(network, how), x, targets, [len(x)], min(SIMULATED, len(x)))
    ((_, learned),) = learning
    return learned.infer


def best_rate(name: str, cost: Callable[[float], float], rates: Sequence[float]) -> float:
    """The rate of least `cost`, of equals the least: found once, for all of that name."""
    return cached(f"rate-{name}", lambda: min(sorted(rates), key=cost), CODE)
