"""Rules by which layers learn from errors of their own, against plain NumPy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.rules import Learning
from edgetrain.pipeline import Program, compile_model
from tests.training import local_rules
from tests.training.models import random_layers, write_mlp

SIZES = (7, 8, 6, 4)
RATE = 2.0**-4
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("target-projection", {}),
    ("target-projection", {"norm": 1, "scale": 0.5}),
    ("drtp", {}),
    ("drtp", {"scale": 0.5}),
    ("dfa", {}),
    ("dfa", {"scale": 2.0}),
]


def compiled(directory: Path, rule: str, sizes: Any = SIZES, **how: Any) -> Program:
    activation = how.pop("activation", "Tanh")
    board = how.pop("board", "host")
    path = write_mlp(directory / "m.onnx", *random_layers(sizes, seed=5), activation)
    return compile_model(path, board, learn=rule, how=Learning(**how))


@pytest.mark.parametrize("activation", local_rules.ACTIVATIONS)
@pytest.mark.parametrize("loss", ["cross-entropy", "mse"])
@pytest.mark.parametrize(("rule", "options"), VARIANTS, ids=str)
def test_it_follows_the_equations(
    rule: str, options: dict[str, Any], loss: str, activation: str, tmp_path: Path
) -> None:
    seed, batch = 12345, 3 if activation in ("Relu", "Tanh") else 1
    how = {"rate": RATE, "loss": loss, "seed": seed, "batch": batch}
    program = compiled(tmp_path, rule, activation=activation, options=tuple(options.items()), **how)
    simulator = program.simulator()
    parameters = {name: array.astype(np.float64) for name, array in simulator.state.items()}
    rng = np.random.default_rng(3)
    for _ in range(8):
        x = rng.normal(0, 1, (batch, SIZES[0])).astype(np.float32)
        target: Any = rng.integers(0, SIZES[-1], batch)
        if loss == "mse":
            target = rng.normal(0, 1, (batch, SIZES[-1])).astype(np.float32)
        simulator.train_step(*((x, target) if batch > 1 else (x[0], target[0])))
        found = local_rules.mean_gradients(
            [
                local_rules.gradients(
                    rule, options, seed, loss, activation, parameters, x[i], target[i]
                )
                for i in range(batch)
            ]
        )
        parameters = {name: array - RATE * found[name] for name, array in parameters.items()}
    for name, array in simulator.state.items():
        # Float32 against float64 over eight steps.
        np.testing.assert_allclose(array, parameters[name], atol=4e-6, err_msg=name)


@pytest.mark.parametrize("rule", ["target-projection", "drtp", "dfa"])
def test_a_part_learns_as_it_would_in_the_whole(rule: str, tmp_path: Path) -> None:
    """No layer's error depends on what another learns."""
    whole = compiled(tmp_path, rule).simulator()
    part = compiled(tmp_path, rule, update="w1[2:5],b2").simulator()
    x = np.linspace(-1, 1, SIZES[0], dtype=np.float32)
    assert whole.train_step(x, 2) == part.train_step(x, 2)
    assert part.state.keys() == {"w1", "b1", "b2"}
    np.testing.assert_array_equal(part.state["w1"], whole.state["w1"][:, 2:5])
    np.testing.assert_array_equal(part.state["b1"], whole.state["b1"][2:5])
    np.testing.assert_array_equal(part.state["b2"], whole.state["b2"])


@pytest.mark.parametrize(
    ("rule", "how"),
    [
        ("target-projection", {}),
        ("target-projection", {"batch": 4}),
        ("target-projection", {"schedule": "cosine", "decay": 0.01}),
        ("target-projection", {"precision": "fp16", "loss_scale": 128.0}),
        ("target-projection", {"precision": "fp16", "loss_scale": 1.0, "rounding": "stochastic"}),
        ("drtp", {}),
    ],
    ids=str,
)
def test_the_arena_does_not_grow_with_depth(rule: str, how: dict[str, Any], tmp_path: Path) -> None:
    board = "mps3-an547" if "precision" in how else "mps2-an386"
    sizes = {
        compiled(tmp_path, rule, (24, *[32] * hidden, 5), board=board, **how).arena_bytes
        for hidden in range(2, 9)
    }
    assert len(sizes) == 1


def test_its_matrices_take_no_memory(tmp_path: Path) -> None:
    for rule in ("target-projection", "drtp", "dfa"):
        program = compiled(tmp_path, rule)
        assert program.initial.keys() == compiled(tmp_path, "sgd").initial.keys()
        assert sum(array.nbytes for array in program.constants.values()) < 32


def test_seeds_differ(tmp_path: Path) -> None:
    states = []
    for seed in (0, 1):
        simulator = compiled(tmp_path, "dfa", seed=seed).simulator()
        simulator.train_step(np.ones(SIZES[0], np.float32), 1)
        states.append(simulator.state)
    np.testing.assert_array_equal(states[0]["w2"], states[1]["w2"])
    assert not np.array_equal(states[0]["w0"], states[1]["w0"])


@pytest.mark.parametrize("rule", ["target-projection", "drtp", "dfa"])
def test_it_learns_ten_samples(rule: str, tmp_path: Path) -> None:
    simulator = compiled(tmp_path, rule, (16, 12, 8, 3), rate=0.1).simulator()
    samples = np.random.default_rng(1).normal(0, 1, (10, 16)).astype(np.float32)
    labels = np.arange(10) % 3
    for step in range(200):
        simulator.train_step(samples[step % 10], labels[step % 10])
    assert (np.argmax(simulator.infer(samples), axis=1) == labels).all()


def test_the_norm_is_one_or_two(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give a whole number from 1 to 2"):
        compiled(tmp_path, "target-projection", options=(("norm", 3),))
