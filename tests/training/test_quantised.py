"""Networks of integers that learn: the deployed forward, latents beside it, gradients straight
through."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.onnx_io.load import import_model
from edgetrain.compiler.passes import run_passes
from edgetrain.compiler.rules import Learning
from edgetrain.compiler.rules.network import Network
from edgetrain.compiler.types import Int
from edgetrain.pipeline import Program, compile_model
from edgetrain.workloads import find_model
from tests.oracles.models import random_qonnx
from tests.training.models import random_layers, write_quantised_mlp

SIZES = (20, 9, 7, 4)
STEPS = 12
RATE = 2.0**-5


def network(tmp_path: Path, precision: str) -> Path:
    weights, biases = random_layers(SIZES, seed=3)
    return write_quantised_mlp(tmp_path / "net.onnx", weights, biases, precision)


def samples(count: int) -> list[tuple[Any, int]]:
    rng = np.random.default_rng(5)
    codes = rng.integers(-60, 61, (count, SIZES[0])).astype(np.int8)
    return [(x, int(rng.integers(SIZES[-1]))) for x in codes]


class Reference:
    """The quantised network in PyTorch, in float64, trained straight through its rounding."""

    def __init__(self, precision: str) -> None:
        weights, biases = random_layers(SIZES, seed=3)
        self.levels = 2 ** (int(precision[1]) - 1) - 1
        self.steps = [float(np.float32(np.abs(w).max() / (self.levels + 0.3))) for w in weights]
        self.most = 2 ** int(precision[3]) - 1
        self.step = 3.0 / (self.most + 1)
        self.weights = [torch.tensor(w, dtype=torch.float64) for w in weights]
        self.biases = [torch.tensor(b, dtype=torch.float64) for b in biases]

    @property
    def bound(self) -> float:
        """Of the latents, in steps."""
        return float(self.levels + 0.5)

    def rounded(self, steps: torch.Tensor) -> torch.Tensor:
        return torch.clamp(torch.round(steps), -self.levels, self.levels)

    def descend(self, codes: Any, label: int, rate: float) -> float:
        """One step of SGD; latents stay where they round to a level."""
        parameters = [p.requires_grad_() for p in (*self.weights, *self.biases)]
        a = torch.tensor(codes * 2.0**-5, dtype=torch.float64)
        for w, b, step in zip(self.weights, self.biases, self.steps, strict=True):
            deployed = self.rounded(w.detach() / step) * step
            z = a @ (w + (deployed - w).detach()) + b
            steps = torch.relu(z) / self.step
            # Brevitas clamps what is rounded already: its gradient passes up to there.
            held = torch.clamp(steps + (torch.round(steps) - steps).detach(), 0, self.most)
            a = held * self.step
        loss = torch.nn.functional.cross_entropy(z[None], torch.tensor([label]))
        loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for p in parameters:
                assert p.grad is not None
                p -= rate * p.grad
                p.grad = None
            for w, step in zip(self.weights, self.steps, strict=True):
                w.clamp_(-self.bound * step, self.bound * step)
        return float(loss.detach())


@pytest.mark.parametrize("latent", ["int16", "fp16"])
@pytest.mark.parametrize("precision", ["w2a2", "w4a4", "w8a8"])
def test_a_step_is_pytorch_s(tmp_path: Path, precision: str, latent: str) -> None:
    how = Learning(rate=RATE, latent=latent)
    program = compile_model(network(tmp_path, precision), learn="sgd", how=how)
    compare_with_torch(program, Reference(precision), latent)


def compare_with_torch(program: Program, reference: Reference, latent: str) -> None:
    """Each of some steps, of a device that learns `network`."""
    simulator = program.simulator()
    moved = 0.0
    for x, label in samples(STEPS):
        before = {k: v.copy() for k, v in simulator.state.items()}
        for layer, step in enumerate(reference.steps):
            fraction = 1.0 if latent == "fp16" else 2.0 ** -fraction_of(reference.bound)
            numbers = before[f"latent_w{layer}"].astype(np.float64) * fraction * step
            reference.weights[layer] = torch.tensor(numbers)
            unit = bias_unit(program, layer)
            reference.biases[layer] = torch.tensor(before[f"b{layer}"].astype(np.float64) * unit)
        loss = simulator.train_step(x, label)
        # FLOAT32 beside float64.
        assert loss == pytest.approx(reference.descend(x, label, RATE), rel=1e-4, abs=1e-5)
        for layer, step in enumerate(reference.steps):
            numbers = simulator.state[f"latent_w{layer}"].astype(np.float64) * fraction
            expected = reference.weights[layer].detach().numpy() / step
            # Latents are rounded, to 2^-fraction or FLOAT16; so is what a column is multiplied by.
            coarse = 2.0**-10 * max(1, reference.levels) if latent == "fp16" else 1.5 * fraction
            assert np.abs(numbers - expected).max() <= coarse
            moved = max(moved, np.abs(numbers - before[f"latent_w{layer}"] * fraction).max())
            bias = simulator.state[f"b{layer}"].astype(np.float64)
            wanted = reference.biases[layer].detach().numpy() / bias_unit(program, layer)
            # To nearest, of numbers that FLOAT32 holds.
            assert np.abs(bias - wanted).max() <= 1.0
    assert moved > 20 * coarse


def fraction_of(bound: float) -> int:
    """The most bits with which it still fits 16 bits."""
    return int(np.floor(np.log2((2**15 - 1) / bound)))


def bias_unit(program: Program, layer: int) -> float:
    network = program.sources[0]
    assert isinstance(network, Network)
    (found,) = (n.unit for n in network.learnable.values() if n.name == f"b{layer}")
    return float(found[0])


def learned(model: Path, board: str = "host", **how: Any) -> Program:
    return compile_model(model, board, learn="sgd", how=Learning(**how))


@pytest.mark.parametrize("latent", ["int16", "int8", "fp16"])
def test_what_is_deployed_is_what_a_fresh_compile_gives(latent: str) -> None:
    model = find_model("can-ids-w2a2")
    simulator = learned(model, rate=1e-3, latent=latent).simulator()
    rng = np.random.default_rng(1)
    first = {name: array.copy() for name, array in simulator.state.items()}
    for _ in range(60):
        simulator.train_step(rng.integers(0, 2, 57), int(rng.integers(4)))
    changed = {name for name, array in simulator.state.items() if (array != first[name]).any()}
    assert changed >= {"w0", "w1", "w2", "b0", "b1", "g0", "g1", "latent_w0"}
    fresh = compile_model(model, state=simulator.state)
    assert not fresh.initial.keys() & {"w0", "b0", "g0"}
    frames = rng.integers(0, 2, (500, 57)).astype(np.float32)
    np.testing.assert_array_equal(
        simulator.infer(frames, raw=True), fresh.simulator().infer(frames, raw=True)
    )
    held = [array for array in fresh.constants.values() if array.ndim == 2]
    for name in ("w0", "w1", "w2"):
        weights = rounded(simulator.state, name, latent)
        np.testing.assert_array_equal(simulator.state[name], weights)
        assert any(np.array_equal(array, weights) for array in held)
    for layer in (0, 1):
        assert any(np.array_equal(array, thresholds(simulator.state, layer)) for array in held)


def rounded(state: Any, name: str, latent: str) -> Any:
    """Weights of latents, to nearest, ties to even; the last layer of the detector has 8 bits."""
    levels = 127 if name == "w2" else 1
    if f"latent_{name}" not in state:
        return state[name]
    numbers = state[f"latent_{name}"].astype(np.float64)
    if latent != "fp16":
        limit = 2 ** (int(latent[3:]) - 1) - 1
        numbers *= 2.0 ** -int(np.floor(np.log2(limit / (levels + 0.5))))
    return np.clip(np.rint(numbers), -levels, levels)


def thresholds(state: Any, layer: int) -> Any:
    """Where the sums of a layer reach what its gains and biases make of them, in whole numbers."""
    imported = import_model(find_model("can-ids-w2a2"), learnable=True)
    node = [node for node in imported.graph.nodes if node.op == "threshold"][layer]
    table = imported.graph.constants[node.inputs[1]]
    sums = imported.graph.nodes[3 * layer].outputs[0].type.scalar
    assert isinstance(sums, Int)
    found = np.empty(table.shape, np.int64)
    for (channel, level), c in np.ndenumerate(table):
        gain, bias = int(state[f"g{layer}"][channel]), int(state[f"b{layer}"][channel])
        reached = [n for n in range(sums.lo, sums.hi + 1) if gain * n + bias >= c]
        found[channel, level] = min(reached, default=sums.hi + 1)
    return found


def test_learning_goes_on_from_a_state() -> None:
    model = find_model("can-ids-w2a2")
    how = Learning(rate=1e-3, latent="int8")
    whole = compile_model(model, learn="sgd", how=how).simulator()
    rng = np.random.default_rng(2)
    steps = [(rng.integers(0, 2, 57), int(rng.integers(4))) for _ in range(40)]
    for x, label in steps[:20]:
        whole.train_step(x, label)
    program = compile_model(model, learn="sgd", how=how, state=whole.state)
    resumed = program.simulator()
    assert resumed.state.keys() == whole.state.keys()
    for x, label in steps[20:]:
        assert whole.train_step(x, label) == resumed.train_step(x, label)
    for name, array in whole.state.items():
        np.testing.assert_array_equal(array, resumed.state[name])


def test_thresholds_of_random_models_come_back_from_gains_and_biases(tmp_path: Path) -> None:
    compared = 0
    path = tmp_path / "model.onnx"
    for seed in range(60):
        path.write_bytes(random_qonnx(seed).model.SerializeToString())
        try:
            ours = run_passes(import_model(path, learnable=True).graph)
        except InputError:
            continue
        plain = run_passes(import_model(path).graph)
        cuts = [[n for n in g.nodes if n.op == "threshold"] for g in (plain, ours)]
        # Zero points change what is summed up.
        if len(cuts[0]) != len(cuts[1]) or any(node.op == "add" for node in ours.nodes):
            continue
        for theirs, mine in zip(*cuts, strict=True):
            t, u = plain.constants[theirs.inputs[1]], ours.constants[mine.inputs[1]]
            # Not where gains are negative: they are not folded into thresholds.
            folded = any(n.op == "matmul" and n.outputs == mine.inputs[:1] for n in ours.nodes)
            if folded and t.shape == u.shape:
                compared += 1
                # The file's thresholds lie within what its own weights can reach.
                lo, hi = t.min(axis=1, keepdims=True), t.max(axis=1, keepdims=True)
                np.testing.assert_array_equal(np.clip(u, lo, hi), t)
    assert compared > 5


def test_eight_bits_are_scaled_as_tflite_does(tmp_path: Path) -> None:
    weights, _ = random_layers(SIZES, seed=3)
    steps = [np.float32(np.abs(w).max() / 127.3) for w in weights]
    inputs = [2.0**-5, 3.0 / 256, 3.0 / 256]
    rng = np.random.default_rng(4)
    integers = [rng.integers(-3000, 3000, w.shape[1]) for w in weights]
    units = [float(s) * i for s, i in zip(steps, inputs, strict=True)]
    biases = [np.asarray(b * unit, np.float32) for b, unit in zip(integers, units, strict=True)]
    path = write_quantised_mlp(tmp_path / "net.onnx", weights, biases, "w8a8")
    how = Learning(precision="int8")
    program = compile_model(path, learn="sgd", how=how)
    assert not any(name.startswith("latent") for name in program.initial)
    codes = rng.integers(-127, 128, (400, SIZES[0]))
    a = codes
    for layer, (w, step) in enumerate(zip(weights, steps, strict=True)):
        deployed = np.clip(np.rint(w / step), -127, 127).astype(np.int64)
        sums = a @ deployed + integers[layer]
        if layer < len(weights) - 1:
            a = np.clip(single_rounding(sums, units[layer] / inputs[layer + 1]), 0, 255)
    found = program.simulator().infer(codes.astype(np.float32) * 2.0**-5)
    np.testing.assert_allclose(found, sums * units[-1], rtol=1e-6, atol=1e-6)


def single_rounding(sums: Any, ratio: float) -> Any:
    """TFLite's MultiplyByQuantizedMultiplier, as TFLITE_SINGLE_ROUNDING has it."""
    fraction, exponent = np.frexp(ratio)
    multiplier, shift = round(fraction * 2**31), 31 - int(exponent)
    return (sums * multiplier + (1 << (shift - 1))) >> shift
