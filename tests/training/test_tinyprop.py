"""Sparse back-propagation, against plain NumPy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.ops import OPS
from edgetrain.compiler.rules import Learning
from edgetrain.compiler.types import FLOAT32, TensorType
from edgetrain.executor import NestExecutor, Tensor
from edgetrain.pipeline import Program, compile_model
from tests.support import assert_bit_exact
from tests.training import local_rules
from tests.training.models import random_layers, write_mlp

SIZES = (7, 12, 9, 5)
RATE = 2.0**-4


def compiled(directory: Path, activation: str = "Tanh", sizes: Any = SIZES, **how: Any) -> Program:
    path = write_mlp(directory / "m.onnx", *random_layers(sizes, seed=5), activation)
    options = tuple((name, how.pop(name)) for name in ("s_min", "s_max", "zeta") if name in how)
    return compile_model(path, learn="tinyprop", how=Learning(options=options, **how))


@pytest.mark.parametrize("loss", ["cross-entropy", "mse"])
@pytest.mark.parametrize(
    ("activation", "options", "batch"),
    [
        ("Relu", {"s_min": 0.25, "s_max": 0.25, "zeta": 1.0}, 1),
        ("Tanh", {"s_min": 0.5, "s_max": 0.5, "zeta": 0.5}, 3),
        ("Sigmoid", {"s_min": 0.0, "s_max": 1.0, "zeta": 1.0}, 1),
        ("Identity", {"s_min": 0.25, "s_max": 0.75, "zeta": 0.75}, 1),
        ("Tanh", {"s_min": 1.0, "s_max": 1.0, "zeta": 1.0}, 1),
    ],
    ids=str,
)
def test_it_follows_the_equations(
    loss: str, activation: str, options: dict[str, float], batch: int, tmp_path: Path
) -> None:
    simulator = compiled(
        tmp_path, activation, rate=RATE, loss=loss, batch=batch, **options
    ).simulator()
    parameters = {
        name: array.astype(np.float64)
        for name, array in simulator.state.items()
        if not name.startswith("y_max")
    }
    reference = local_rules.SparseBackPropagation(**options)
    rng = np.random.default_rng(4)
    for _ in range(12):
        x = rng.normal(0, 1, (batch, SIZES[0])).astype(np.float32)
        target: Any = rng.integers(0, SIZES[-1], batch)
        if loss == "mse":
            target = rng.normal(0, 1, (batch, SIZES[-1])).astype(np.float32)
        simulator.train_step(*((x, target) if batch > 1 else (x[0], target[0])))
        each = [
            reference.gradients(loss, activation, parameters, x[i], target[i]) for i in range(batch)
        ]
        found = local_rules.mean_gradients(each)
        parameters = {name: array - RATE * found[name] for name, array in parameters.items()}
    # With a fixed share the number of each layer is fixed, too.
    varies = [len(set(reference.counts[layer::3])) > 1 for layer in range(3)]
    assert any(varies) == (options["s_min"] < options["s_max"])
    for name, array in parameters.items():
        # Float32 against float64 over twelve steps.
        np.testing.assert_allclose(simulator.state[name], array, atol=4e-6, err_msg=name)


def test_with_a_share_of_one_it_is_back_propagation(tmp_path: Path) -> None:
    sparse = compiled(tmp_path, s_min=1, s_max=1).simulator()
    dense = compile_model(tmp_path / "m.onnx", learn="sgd").simulator()
    for label in range(5):
        x = np.linspace(-1, label, SIZES[0], dtype=np.float32)
        assert sparse.train_step(x, label) == dense.train_step(x, label)
    for name, array in dense.state.items():
        np.testing.assert_array_equal(sparse.state[name], array)


def test_only_what_is_kept_moves(tmp_path: Path) -> None:
    simulator = compiled(tmp_path, s_min=0.25, s_max=0.25, rate=0.1).simulator()
    before = {name: array.copy() for name, array in simulator.state.items()}
    simulator.train_step(np.linspace(-1, 1, SIZES[0], dtype=np.float32), 1)
    for layer, count in enumerate((3, 2, 1)):
        weights = (simulator.state[f"w{layer}"] != before[f"w{layer}"]).any(axis=0)
        biases = simulator.state[f"b{layer}"] != before[f"b{layer}"]
        np.testing.assert_array_equal(weights, biases)
        assert biases.sum() == count


def test_below_what_learns_nothing_is_computed(tmp_path: Path) -> None:
    for update, ranks in (("last", 1), ("w1[2:5]", 2), ("biases", 3)):
        calls = compiled(tmp_path, update=update).entry("train_step").calls
        assert sum(call.op == "rank" for call in calls) == ranks


def test_ranks_are_a_permutation_whatever_the_numbers() -> None:
    rng = np.random.default_rng(2)
    odd = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, 1.0, -1.0], np.float32)
    for size in (1, 2, 7, 40):
        kind = TensorType((size,), FLOAT32)
        magnitude = NestExecutor(OPS["magnitude"].meaning(kind), {})
        rank = NestExecutor(OPS["rank"].meaning(kind, kind), {})
        for _ in range(20):
            d = rng.choice(odd, size)
            (sizes,) = magnitude([Tensor(d, False)])
            (ranks,) = rank([sizes, sizes])
            plain = np.where(np.isnan(d), np.inf, np.abs(d))
            order = np.argsort(-plain, kind="stable")
            np.testing.assert_array_equal(ranks.array[order], np.arange(size))


@pytest.mark.parametrize("options", [{"s_min": 0.0, "s_max": 1.0}, {"zeta": 0.5}], ids=str)
def test_it_is_bit_exact_on_the_host(options: dict[str, float], tmp_path: Path) -> None:
    assert_bit_exact(
        compiled(tmp_path, "Relu", rate=0.05, **options), tmp_path / "out", samples=100
    )


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ({"s_min": 0.5}, "s_min is 0.5 and s_max 0.25"),
        ({"s_max": 1.0, "batch": 2}, "on one sample"),
        ({"s_max": 1.0, "precision": "fp16"}, "not for fp16"),
        ({"s_max": 1.5}, "from 0.0 to 1.0"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(how: dict[str, Any], what: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=what):
        compiled(tmp_path, **how)
