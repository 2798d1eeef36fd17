"""`make experiments`: a device that learns MNIST in FP16, beside PyTorch in FP32.

A 196-32-10 perceptron (the images pooled 2×2) learns 5,000 images one by one, as the program for a
Cortex-M55 does it, bit for bit, once with a dynamic loss scale and once without a scale; PyTorch
begins with the same weights and takes the same images in the same order.  All are tested on the
10,000 test images.  The first steps also run on the emulated board, and every weight is compared.
"""

import gzip
import json
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import click
import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from edgetrain.board import load_board
from edgetrain.compiler.program import elements, pack
from edgetrain.compiler.rules import Learning
from edgetrain.link import open_link
from edgetrain.networks import Floats, float_mlp
from edgetrain.pipeline import Program, build_for_host, compile_model, write_project
from edgetrain.verify import simulate_calls, verify

BOARD = "mps3-an547"
HIDDEN = 32
HOW = Learning(loss="cross-entropy", rate=2.0**-4, precision="fp16")
UNSCALED = replace(HOW, loss_scale=1.0)
TOLERANCE = 0.5  # points
SIMULATED = 300
"""The steps that the simulator takes too."""


@dataclass(frozen=True)
class Digits:
    """Images (count, 196) from 0 to 1, and their classes."""

    images: Floats
    labels: NDArray[np.uint8]


@dataclass(frozen=True)
class Outcome:
    """Percent of the test images that are classified rightly."""

    seed: int
    epochs: int
    torch_fp32: float
    device_fp16: float
    device_fp16_unscaled: float


def training_images(folder: Path) -> Digits:
    """The 5,000, sorted by class as the file has them."""
    with gzip.open(folder / "mnist_5k.csv.gz", "rt") as file:
        rows = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    return Digits(_pooled(rows[:, :-1]), rows[:, -1])


def test_images(folder: Path) -> Digits:
    """The 10,000."""
    images = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 784)
    return Digits(_pooled(pixels), np.frombuffer(labels, np.uint8, offset=8))


def _pooled(pixels: NDArray[np.uint8]) -> Floats:
    squares = pixels.reshape(-1, 14, 2, 14, 2).astype(np.float32)
    pooled: Floats = (squares.mean(axis=(2, 4)) / 255).reshape(-1, 196).astype(np.float32)
    return pooled


def initial_network(seed: int) -> torch.nn.Sequential:
    """As PyTorch draws it."""
    torch.manual_seed(seed)
    linear = torch.nn.Linear
    return torch.nn.Sequential(linear(196, HIDDEN), torch.nn.ReLU(), linear(HIDDEN, 10))


def compiled(network: torch.nn.Sequential, how: Learning = HOW) -> Program:
    """The training program that begins with the weights of `network`."""
    layers = [layer for layer in network if isinstance(layer, torch.nn.Linear)]
    weights = [np.ascontiguousarray(layer.weight.detach().numpy().T) for layer in layers]
    model = float_mlp(weights, [layer.bias.detach().numpy() for layer in layers])
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "net.onnx")
        onnx.save(model, str(path))
        return compile_model(path, BOARD, learn="sgd", how=how)


def torch_accuracy(network: torch.nn.Sequential, order: Any, train: Digits, test: Digits) -> float:
    """After learning the images in `order`, one a step, in FP32."""
    optimiser = torch.optim.SGD(network.parameters(), lr=HOW.rate)
    images, labels = torch.from_numpy(train.images), torch.from_numpy(train.labels.astype(int))
    for i in order:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images[i : i + 1]), labels[i : i + 1])
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        return _percent(network(torch.from_numpy(test.images)).numpy(), test)


def device_accuracy(program: Program, order: Any, train: Digits, test: Digits) -> float:
    """The same, by the device's program; its first steps also in the simulator, bit for bit.

    All steps are taken by the program's C on this machine, which keeps the sums of the M55 and is
    about fifty times as fast as the simulator.
    """
    simulator = program.simulator()
    entry = program.entry("train_step")
    position = program.entries.index(entry)
    x, label = (program.buffers[name] for name in entry.inputs)
    with tempfile.TemporaryDirectory() as scratch:
        image = build_for_host(program, Path(scratch))
        with open_link(load_board("host"), image, "host") as device:
            for step, i in enumerate(order):
                data = pack(x, train.images[i]) + pack(label, np.asarray(train.labels[i]))
                loss = np.frombuffer(device.run(position, data).output, np.float32)[0]
                if step < SIMULATED:
                    expected = simulator.train_step(train.images[i], int(train.labels[i]))
                    if np.float32(expected) != loss:
                        raise ValueError(f"step {step}: simulator {expected}, device {loss}")
            states = program.of_kind("state")
            learned = [elements(b, device.read_state(n)) for n, b in enumerate(states)]
    simulator.load_state({b.name: array for b, array in zip(states, learned, strict=True)})
    return _percent(simulator.infer(test.images), test)


def _percent(outputs: Any, test: Digits) -> float:
    return 100 * float(np.mean(outputs.argmax(axis=1) == test.labels))


def learn(data: Path, epochs: int, seed: int) -> Outcome:
    """All learners, from one initial network and in one order."""
    torch.set_num_threads(1)
    train, test = training_images(data), test_images(data)
    order = _order(len(train.labels), epochs, seed)
    scaled, unscaled = (
        device_accuracy(compiled(initial_network(seed), how), order, train, test)
        for how in (HOW, UNSCALED)
    )
    reference = torch_accuracy(initial_network(seed), order, train, test)
    return Outcome(seed, epochs, reference, scaled, unscaled)


def _order(count: int, epochs: int, seed: int) -> NDArray[np.int64]:
    """The images of all epochs, shuffled anew for each."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.permutation(count) for _ in range(epochs)])


def differing_on_the_emulator(data: Path, steps: int) -> int:
    """How many losses and numbers of state differ after `steps` steps in QEMU."""
    train = training_images(data)
    program = compiled(initial_network(0))
    order = _order(len(train.labels), 1, 0)[:steps]
    calls = [(train.images[i].astype(np.float16), np.asarray(train.labels[i])) for i in order]
    with tempfile.TemporaryDirectory() as scratch:
        write_project(program, Path(scratch, "out"))
        reference = simulate_calls(program, {"train_step": calls})
        return verify(Path(scratch, "out"), link="qemu", reference=reference).mismatches


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=lambda: os.environ.get("EDGETRAIN_DATA", "../shared/data"),
    help="The folder with mnist/ in it; default: EDGETRAIN_DATA.",
)
@click.option("--epochs", type=int, default=8, show_default=True)
@click.option("--seeds", type=int, default=8, show_default=True, help="Networks that learn.")
@click.option("--steps", type=int, default=500, show_default=True, help="On the emulator.")
@click.option("--jobs", type=int, default=2, show_default=True)
def main(data: Path, epochs: int, seeds: int, steps: int, jobs: int) -> None:
    """Print the accuracies as JSON; exit code 1 where FP16 loses more than half a point."""
    folder = data / "mnist"
    with ProcessPoolExecutor(jobs) as pool:
        mismatches = pool.submit(differing_on_the_emulator, folder, steps)
        outcomes = list(pool.map(partial(learn, folder, epochs), range(seeds)))
        differing = mismatches.result()
    reference = mean(o.torch_fp32 for o in outcomes)
    lost = reference - mean(o.device_fp16 for o in outcomes)
    lost_unscaled = reference - mean(o.device_fp16_unscaled for o in outcomes)
    found = {
        "board": BOARD,
        "runs": [asdict(outcome) for outcome in outcomes],
        "points_lost": round(lost, 3),
        "points_lost_unscaled": round(lost_unscaled, 3),
        "emulated_steps": steps,
        "mismatches": differing,
    }
    print(json.dumps(found, indent=1))
    raise SystemExit(1 if max(lost, lost_unscaled) > TOLERANCE or differing else 0)


if __name__ == "__main__":
    main()
