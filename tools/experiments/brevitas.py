"""A 2-bit network learns MNIST from scratch, on the device and in Brevitas: the same start, samples
and schedule."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from edgetrain.compiler.rules import Learning
from edgetrain.pipeline import compile_model
from edgetrain.train.export import export
from edgetrain.train.network import TwoBitActivation, TwoBitWeight, reproducible
from edgetrain.train.quantisers import Int8WeightPerTensorFloat, Uint8ActPerTensorFloat, qnn
from tools.experiments import device
from tools.experiments.digits import CLASSES, PIXELS, test_digits, training_digits
from tools.experiments.learners import BOARD
from tools.experiments.registry import Experiment, Parameters, Result, register

HIDDEN: Final = 64
BATCH: Final = 8
SAMPLES: Final = 40_000
RATES: Final = tuple(2.0**-power for power in (1, 2, 3, 4))
"""With which learning begins; they fall to zero in a line."""
CALIBRATION: Final = 330
"""Batches that set the scale of the activations and the batch norm's statistics; Brevitas takes
that many before a scale is a parameter."""
SIMULATED: Final = 10
"""Steps that the simulator takes too."""


class Pixel(Uint8ActPerTensorFloat):  # type: ignore[misc]
    """From 0 to 1 in steps of 1/255."""

    scaling_impl_type = "const"
    scaling_init = 1.0


class LastWeight(Int8WeightPerTensorFloat):  # type: ignore[misc]
    """From −1 to 1, so that weights may grow to eight times what they begin with."""

    scaling_impl_type = "const"
    scaling_init = 1.0


def cases() -> Iterator[Parameters]:
    """Each rate for either learner."""
    for learner in LEARNERS:
        for rate in RATES:
            yield {"learner": learner, "rate": rate, "samples": SAMPLES}


def run(parameters: Parameters, seed: int) -> Result:
    """Percent of the test images."""
    rng = np.random.default_rng(seed)
    rounds = -(-parameters["samples"] // len(training_digits()))
    order = np.concatenate([rng.permutation(len(training_digits())) for _ in range(rounds)])
    batches = order[: parameters["samples"] // BATCH * BATCH].reshape(-1, BATCH)
    with reproducible(seed):
        network = _start(batches[:CALIBRATION])
        infer = LEARNERS[parameters["learner"]](network, parameters["rate"], batches)
    right = infer(test_digits().images).argmax(axis=1) == test_digits().labels
    return {"accuracy": round(100 * float(np.mean(right)), 2)}


def _start(batches: NDArray[np.intp]) -> nn.Sequential:
    """Random weights and calibrated scales.

    The first layer's weights are four times what PyTorch draws: behind a batch norm that changes
    nothing but how fast they learn, which then suits the rate of the last layer.
    """
    first = qnn.QuantLinear(PIXELS, HIDDEN, bias=False, weight_quant=TwoBitWeight)
    network = nn.Sequential(
        qnn.QuantIdentity(act_quant=Pixel),
        first,
        nn.BatchNorm1d(HIDDEN),
        qnn.QuantReLU(act_quant=TwoBitActivation),
        qnn.QuantLinear(HIDDEN, CLASSES, bias=True, weight_quant=LastWeight),
    )
    network.train()
    with torch.no_grad():
        first.weight.mul_(4)
        for batch in batches:
            network(torch.from_numpy(training_digits().images[batch]))
    return network


def in_brevitas(network: nn.Sequential, rate: float, batches: NDArray[np.intp]) -> Any:
    """SGD in FP32, as Brevitas does it: the batch norm goes on following its input, the scale of
    the first weights their mean magnitude, and that of the activations is learned."""
    images = torch.from_numpy(training_digits().images)
    labels = torch.from_numpy(training_digits().labels.astype(np.int64))
    optimiser = torch.optim.SGD(network.parameters(), rate)
    for step, batch in enumerate(batches):
        optimiser.param_groups[0]["lr"] = rate * (1 - step / len(batches))
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(images[batch]), labels[batch])
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    network.eval()

    def infer(x: NDArray[np.float32]) -> Any:
        with torch.no_grad():
            return network(torch.from_numpy(x)).numpy()

    return infer


def on_device(network: nn.Sequential, rate: float, batches: NDArray[np.intp]) -> Any:
    """SGD with latents of int16: scales and the statistics of the batch norm stay as they are, its
    gains and biases learn."""
    how = Learning(
        rate=rate,
        schedule="linear",
        schedule_steps=len(batches),
        schedule_factor=0.0,
        batch=BATCH,
    )
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "start.onnx")
        onnx.save(export(network.eval(), PIXELS), path)
        program = compile_model(path, BOARD, learn="sgd", how=how)
    x, labels = training_digits().images[batches], training_digits().labels[batches]
    ((_, learned),) = device.learn(program, x, labels, [len(batches)], SIMULATED)
    return learned.infer


LEARNERS: Final = {"device": on_device, "brevitas": in_brevitas}

register(Experiment("brevitas", cases, run))
