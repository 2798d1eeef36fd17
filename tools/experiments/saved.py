"""MNIST on a deeper network whose activations are kept for the backward pass in few bits."""

import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import onnx

from edgetrain.compiler.rules import Learning
from edgetrain.compiler.rules.saved import SAVED
from edgetrain.networks import float_mlp
from edgetrain.pipeline import Program, compile_model
from tools.experiments import device
from tools.experiments.costs import measure
from tools.experiments.digits import CLASSES, PIXELS, test_digits, training_digits
from tools.experiments.registry import Experiment, Parameters, Result, register

SIZES: Final = (PIXELS, 64, 64, 64, 64, CLASSES)
BOARD: Final = "mps2-an386"
IMAGES: Final = 5000
ROUNDS: Final = 8
RATE: Final = 2.0**-5
"""With which it begins; it falls to zero in a line."""
BATCH: Final = 16
"""Of which there is an arena too; what is learned, is learned one sample a step."""
SIMULATED: Final = 100
COUNTED: Final = 20


def cases() -> Iterator[Parameters]:
    """Everything kept, then fewer and fewer bits."""
    for kind in (None, *SAVED):
        yield {"saved": kind, "rounds": ROUNDS}


def run(parameters: Parameters, seed: int) -> Result:
    """Percent of the test images after all rounds, what a step costs, and the arena of a batch."""
    rng = np.random.default_rng(seed)
    stream = np.concatenate([rng.permutation(IMAGES) for _ in range(parameters["rounds"])])
    one, many = (program(parameters["saved"], n, len(stream), seed) for n in (1, BATCH))
    samples, judges = training_digits()[stream], test_digits()
    x, labels = samples.images, samples.labels
    ((_, learned),) = device.learn(one, x, labels, [len(x)], SIMULATED)
    right = learned.infer(judges.images).argmax(axis=1) == judges.labels
    accuracy = round(100 * float(np.mean(right)), 2)
    costs = measure(one, x[:COUNTED], labels[:COUNTED])
    return {"accuracy": accuracy, "batch_arena_bytes": many.arena_bytes, **costs}


def program(saved: str | None, batch: int, steps: int, seed: int) -> Program:
    """The program that begins with weights of `seed`, as PyTorch draws them."""
    rng = np.random.default_rng(seed)
    weights, biases = [], []
    for rows, columns in pairwise(SIZES):
        bound = rows**-0.5
        weights.append(rng.uniform(-bound, bound, (rows, columns)).astype(np.float32))
        biases.append(rng.uniform(-bound, bound, columns).astype(np.float32))
    how = Learning(
        rate=RATE,
        schedule="linear",
        schedule_steps=steps,
        schedule_factor=0.0,
        batch=batch,
        save_activations=saved,
    )
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "net.onnx")
        onnx.save(float_mlp(weights, biases), str(path))
        return compile_model(path, BOARD, learn="sgd", how=how)


register(Experiment("saved-activations", cases, run))
