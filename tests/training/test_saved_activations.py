"""Activations kept in few bits: a step against NumPy, exact signs, and what an arena then takes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.rules import Learning
from edgetrain.pipeline import Program, compile_model
from edgetrain.workloads import model_file
from tests.support import assert_bit_exact
from tests.training.models import random_layers, write_mlp

Doubles = NDArray[np.float64]

SIZES = (9, 12, 11, 7, 4)
RATE = 2.0**-2
KINDS = ("int8", "int4", "int2")


def learner(directory: Path, activation: str, board: str = "host", **how: Any) -> Program:
    path = write_mlp(directory / "m.onnx", *random_layers(SIZES, seed=3), activation)
    return compile_model(path, board, learn="sgd", how=Learning(rate=RATE, **how))


def kept(a: Doubles, bits: int, *, signed: bool) -> Doubles:
    """The middle of the step in which each number lies, sign by sign."""
    steps = 2 ** (bits - 1) if signed else 2**bits - 1
    width = np.abs(a).max() / steps
    number = np.minimum(np.floor(np.abs(a) / width), steps - 1)
    middle: Doubles = (number + 0.5) * width * np.where(a < 0, -1, 1)
    return middle if signed else np.where(a > 0, middle, 0)


def derivative(activation: str, y: Doubles) -> Any:
    """By what comes in, of what comes out."""
    match activation:
        case "Relu":
            return y > 0
        case "LeakyRelu":
            return np.where(y < 0, 0.125, 1)
        case "Sigmoid":
            return y * (1 - y)
        case "Tanh":
            return 1 - y**2
    return 1


def forward(activation: str, z: Doubles) -> Doubles:
    match activation:
        case "Relu":
            return np.maximum(z, 0)
        case "LeakyRelu":
            return np.where(z < 0, z / 8, z)
        case "Sigmoid":
            return 1 / (1 + np.exp(-z))
        case "Tanh":
            return np.tanh(z)
    return z


def gradients(state: Any, activation: str, bits: int, x: Any, label: int) -> dict[str, Doubles]:
    """Of the cross-entropy, by back-propagation through what is kept."""
    w, b = ([state[f"{kind}{n}"].astype(np.float64) for n in range(4)] for kind in "wb")
    a, remembered = x.astype(np.float64), [x.astype(np.float64)]
    for layer in range(3):
        a = forward(activation, a @ w[layer] + b[layer])
        remembered.append(kept(a, bits, signed=activation not in ("Relu", "Sigmoid")))
    z = a @ w[3] + b[3]
    d = np.exp(z - z.max()) / np.exp(z - z.max()).sum() - np.eye(4)[label]
    found: dict[str, Doubles] = {}
    for layer in (3, 2, 1, 0):
        found |= {f"w{layer}": np.outer(remembered[layer], d), f"b{layer}": d}
        if layer:
            d = (w[layer] @ d) * derivative(activation, remembered[layer])
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ["Relu", "LeakyRelu", "Sigmoid", "Tanh", "Identity"])
def test_a_step_goes_back_through_what_was_kept(activation: str, kind: str, tmp_path: Path) -> None:
    simulator = learner(tmp_path, activation, save_activations=kind).simulator()
    rng = np.random.default_rng(4)
    for label in range(4):
        x = rng.normal(0, 1, SIZES[0]).astype(np.float32)
        before = {name: array.copy() for name, array in simulator.state.items()}
        expected = gradients(before, activation, int(kind[3:]), x, label)
        simulator.train_step(x, label)
        for name, gradient in expected.items():
            found = (before[name].astype(np.float64) - simulator.state[name]) / RATE
            np.testing.assert_allclose(found, gradient, rtol=2e-5, atol=3e-6, err_msg=name)


@pytest.mark.parametrize("activation", ["Relu", "LeakyRelu"])
def test_signs_are_exact_and_with_them_what_goes_back(activation: str, tmp_path: Path) -> None:
    """Biases, and the first layer's weights, whose input is not computed, learn as ever."""
    whole, few = (
        learner(tmp_path, activation, save_activations=kind).simulator() for kind in (None, "int2")
    )
    x = np.random.default_rng(5).normal(0, 1, SIZES[0]).astype(np.float32)
    assert whole.train_step(x, 2) == few.train_step(x, 2)
    names = ["w0", *(f"b{layer}" for layer in range(4))]
    assert all(np.array_equal(whole.state[name], few.state[name]) for name in names)
    assert not np.array_equal(whole.state["w3"], few.state["w3"])


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_more_costs_its_codes(kind: str, batch: int, tmp_path: Path) -> None:
    """Of the deepest networks; all else that a layer needs is soon forgotten."""
    width, depths = 64, (6, 7)
    arenas = {}
    for saved in (None, kind):
        for depth in depths:
            sizes = (width,) * depth + (4,)
            path = write_mlp(tmp_path / "m.onnx", *random_layers(sizes, seed=depth))
            how = Learning(batch=batch, save_activations=saved)
            arenas[saved, depth] = compile_model(path, learn="sgd", how=how).arena_bytes
    more = {saved: arenas[saved, depths[1]] - arenas[saved, depths[0]] for saved in (None, kind)}
    assert more[None] == 4 * width * batch
    # And the greatest size, of each sample, in eight bytes.
    assert more[kind] <= batch * width + 8 * (-(-batch // 2))


@pytest.mark.parametrize(
    ("board", "activation", "how"),
    [
        ("host", "Tanh", {"save_activations": "int4", "batch": 3}),
        ("mps2-an386", "Relu", {"save_activations": "int2"}),
        ("mps2-an386", "Sigmoid", {"save_activations": "int8", "batch": 2}),
        ("qemu-rv32imc", "LeakyRelu", {"save_activations": "int4"}),
        ("mps3-an547", "Relu", {"save_activations": "int8", "precision": "fp16"}),
    ],
    ids=str,
)
def test_is_bit_exact(board: str, activation: str, how: dict[str, Any], tmp_path: Path) -> None:
    assert_bit_exact(learner(tmp_path, activation, board, **how), tmp_path / "out", samples=40)


def test_an_overflow_is_seen_through_the_codes(tmp_path: Path) -> None:
    """Of activations in FLOAT16 that are infinite: the step is cancelled."""
    simulator = learner(
        tmp_path, "Relu", "mps3-an547", precision="fp16", save_activations="int4"
    ).simulator()
    before = {name: array.copy() for name, array in simulator.state.items()}
    x = np.full(SIZES[0], 6e4, np.float16)
    simulator.train_step(x, 1)
    assert simulator.state["loss_scale"] == before["loss_scale"] / 2
    assert all(np.array_equal(before[name], simulator.state[name]) for name in ("w0", "w3", "b1"))


def test_is_refused_where_it_is_not_meant(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="saved as 'int3'; known: int8, int4, int2"):
        Learning(save_activations="int3")
    with model_file("can-ids-w2a2") as path, pytest.raises(InputError, match="few bits already"):
        compile_model(path, learn="sgd", how=Learning(save_activations="int4"))
