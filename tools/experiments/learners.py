"""Who learns MNIST: the program of a device, and PyTorch beside it, from the same weights."""

import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, Final

import onnx
import torch
from torch import nn

from edgetrain.compiler.rules import Learning
from edgetrain.networks import Floats
from edgetrain.pipeline import Program, compile_model
from tools.experiments import device
from tools.experiments.digits import Digits
from tools.experiments.precisions import initial_weights, model

BOARD: Final = "mps3-an547"
"""Whose sums the device keeps: it has every precision."""
SIMULATED: Final = 300
"""The most steps that the simulator takes too; of a hundred steps it takes one."""

Classifier = Callable[[Floats], Any]
"""Images (count, 196) → outputs (count, 10), of which the greatest tells the class."""
Learner = Callable[
    [str, str, Learning, int, Digits, Collection[int]], Iterator[tuple[int, Classifier]]
]
"""(precision, rule, how, seed, samples in their order, pauses) → at each pause the steps taken and
what has been learned until then."""


def program(precision: str, rule: str, how: Learning, seed: int, board: str = BOARD) -> Program:
    """Of the network that `seed` begins with."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "net.onnx")
        onnx.save(model(precision, rule, seed), str(path))
        return compile_model(path, board, learn=rule, how=how)


def on_device(
    precision: str, rule: str, how: Learning, seed: int, samples: Digits, pauses: Collection[int]
) -> Iterator[tuple[int, Classifier]]:
    """The device's program, one sample a step."""
    simulated = min(SIMULATED, len(samples) // 100)
    made, (x, labels) = program(precision, rule, how, seed), (samples.images, samples.labels)
    for step, learned in device.learn(made, x, labels, pauses, simulated):
        yield step, learned.infer


_OPTIMISERS: Final[dict[str, Callable[[Any, Learning], torch.optim.Optimizer]]] = {
    "sgd": lambda weights, how: torch.optim.SGD(weights, how.rate),
    "momentum": lambda weights, how: torch.optim.SGD(weights, how.rate, how.momentum),
    "adam": lambda weights, how: torch.optim.Adam(weights, how.rate),
}


def in_torch(
    precision: str, rule: str, how: Learning, seed: int, samples: Digits, pauses: Collection[int]
) -> Iterator[tuple[int, Classifier]]:
    """PyTorch in FP32, one sample a step; the rate falls in a line, as the device's does."""
    torch.set_num_threads(1)
    network = torch_network(seed)
    optimiser = _OPTIMISERS[rule](network.parameters(), how)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: max(0.0, 1 - step / how.schedule_steps)
    )
    images, labels = torch.from_numpy(samples.images), torch.from_numpy(samples.labels.astype(int))
    for i in range(len(samples)):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(images[i : i + 1]), labels[i : i + 1])
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if i + 1 in pauses:
            yield i + 1, lambda x: _outputs(network, x)


def torch_network(seed: int) -> nn.Sequential:
    """With the device's initial weights."""
    linear = []
    for weights in initial_weights(seed):
        layer = nn.Linear(*weights.shape)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weights.T))
            layer.bias.zero_()
        linear.append(layer)
    return nn.Sequential(linear[0], nn.ReLU(), linear[1])


def _outputs(network: nn.Sequential, x: Floats) -> Floats:
    network.eval()
    with torch.no_grad():
        outputs: Floats = network(torch.from_numpy(x)).numpy()
    network.train()
    return outputs


LEARNERS: Final[dict[str, Learner]] = {"device": on_device, "pytorch": in_torch}


def references() -> Iterator[tuple[str, str]]:
    """Every (precision, rule) that PyTorch learns."""
    yield from (("fp32", rule) for rule in _OPTIMISERS)
