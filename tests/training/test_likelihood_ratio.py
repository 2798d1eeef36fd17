"""Learning from losses under noise, against plain NumPy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetrain.compiler.rules import Learning
from edgetrain.pipeline import Program, compile_model
from edgetrain.workloads import model_file
from tests.support import assert_bit_exact
from tests.training import forward_rules as reference
from tests.training.models import random_layers, write_mlp, write_quantised_mlp
from tests.training.test_zeroth_order import draw, parameters_of

SIZES = (7, 6, 5, 4)
RATE = 2.0**-4


def compiled(directory: Path, sizes: Any = SIZES, **how: Any) -> Program:
    activation, board = how.pop("activation", "Tanh"), how.pop("board", "host")
    path = write_mlp(directory / "m.onnx", *random_layers(sizes, seed=5), activation)
    how["options"] = tuple(how.pop("options", {}).items())
    return compile_model(path, board, learn="likelihood-ratio", how=Learning(**how))


CASES: list[dict[str, Any]] = [
    *({"loss": loss} for loss in ("cross-entropy", "mse", "hinge", "bce", "multilabel")),
    *({"activation": name} for name in ("Relu", "LeakyRelu", "Sigmoid", "Identity")),
    {"batch": 3},
    {"options": {"pairs": 3}},
    {"options": {"pairs": 2, "sigma": 0.5}, "batch": 2},
]


@pytest.mark.parametrize("how", CASES, ids=str)
def test_it_follows_the_equations(how: dict[str, Any], tmp_path: Path) -> None:
    given, batch = how.get("options", {}), how.get("batch", 1)
    sigma, pairs = given.get("sigma", 0.25), given.get("pairs", 1)
    loss, activation = how.get("loss", "cross-entropy"), how.get("activation", "Tanh")
    how = {**how, "options": {**given, "sigma": sigma}}
    simulator = compiled(tmp_path, rate=RATE, seed=9, **how).simulator()
    rng = np.random.default_rng(3)
    for step in range(4):
        x, target = draw(rng, loss, batch)
        before = parameters_of(simulator.state)
        value = simulator.train_step(*((x, target) if batch > 1 else (x[0], target[0])))
        expected = reference.mean_loss(activation, loss, x, target)(before)
        assert value == pytest.approx(expected, rel=1e-6)

        def noise(layer: int, pair: int, size: int, sample: int, step: int = step) -> Any:
            return reference.drawn(9, layer * pairs + pair, step, (size,), sample)

        found = [
            reference.likelihood_ratio(before, activation, loss, a, t, noise, i, sigma, pairs)
            for i, (a, t) in enumerate(zip(x, target, strict=True))
        ]
        for name, w in before.items():
            moved = w - RATE * np.mean([each[name] for each in found], axis=0)
            # The losses' roundings in float32, over 2·sigma, times noise and inputs up to 4.
            np.testing.assert_allclose(simulator.state[name], moved, atol=4e-6, err_msg=name)


def test_the_mean_of_many_steps_is_the_gradient(tmp_path: Path) -> None:
    sizes, rate, steps = (3, 4, 3), 2.0**-10, 256
    program = compiled(tmp_path, sizes, rate=rate, options={"sigma": 2.0**-6, "pairs": 2})
    plain = compile_model(tmp_path / "m.onnx", learn="sgd", how=Learning(rate=rate))
    x = np.array([0.5, -1, 2], np.float32)
    exact, simulator = plain.simulator(), program.simulator()
    exact.train_step(x, 1)
    total = {name: np.zeros(w.shape) for name, w in plain.initial.items()}
    for step in range(steps):
        simulator.load_state({**program.initial, "step": np.array(step, np.int32)})
        simulator.train_step(x, 1)
        for name in total:
            total[name] += (simulator.state[name] - program.initial[name]) / steps
    for name, w in total.items():
        gradient = (exact.state[name] - plain.initial[name]).astype(np.float64)
        cosine = np.vdot(w, gradient) / np.linalg.norm(w) / np.linalg.norm(gradient)
        assert cosine > 0.97, name
        assert np.linalg.norm(w) == pytest.approx(np.linalg.norm(gradient), rel=0.15)


@pytest.mark.parametrize("how", [{}, {"options": {"pairs": 2}}, {"batch": 3}], ids=str)
def test_the_arena_does_not_grow_with_depth(how: dict[str, Any], tmp_path: Path) -> None:
    """From where two layers above the noise take turns with each other."""
    sizes = {
        compiled(tmp_path, (24, *[32] * hidden, 5), **how).arena_bytes for hidden in range(3, 7)
    }
    assert len(sizes) == 1


def test_layers_that_do_not_learn_get_no_noise(tmp_path: Path) -> None:
    def passes(update: str) -> int:
        step = compiled(tmp_path, update=update).sources[-1]
        return sum(node.op == "matmul" for node in step.nodes)

    # Up and down from the first layer on through two layers, from the second one through one.
    assert passes("all") == 3 + 2 * 2 + 2 * 1
    assert passes("last") == 3
    assert passes("biases") == 3 + 2 * 2 + 2 * 1
    assert passes("layer1") == 3 + 2 * 1


def test_a_quantised_network_gets_noise_on_its_sums() -> None:
    with model_file("can-ids-w2a2") as path:
        how = Learning(rate=0.05, options=(("sigma", 1.0), ("pairs", 4)))
        simulator = compile_model(path, learn="likelihood-ratio", how=how).simulator()
    before = dict(simulator.state)
    x = np.zeros(57, np.int8)
    x[::5] = 1
    losses = [simulator.train_step(x, 2) for _ in range(12)]
    assert losses[-1] < losses[0] / 2
    for name in ("latent_w0", "latent_w1", "latent_w2", "b0", "b1", "g0", "g1"):
        assert not np.array_equal(before[name], simulator.state[name]), name


@pytest.mark.parametrize("precision", ["w4a4", "w8a8", "int8"])
def test_so_does_one_of_more_levels(precision: str, tmp_path: Path) -> None:
    """Their activations are rounded by thresholds, or by a multiplication."""
    layers = random_layers(SIZES, seed=5)
    path = write_quantised_mlp(tmp_path / "m.onnx", *layers, precision.replace("int8", "w8a8"))
    how = Learning(rate=0.2, precision=precision, options=(("pairs", 4),))
    simulator = compile_model(path, learn="likelihood-ratio", how=how).simulator()
    x = np.arange(-30, 33, 9, dtype=np.int8)
    losses = [simulator.train_step(x, 2) for _ in range(12)]
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize(
    ("board", "how"),
    [
        ("mps2-an386", {"options": {"pairs": 2}, "schedule": "linear"}),
        ("mps2-an386", {"batch": 3, "decay": 0.01}),
        ("qemu-rv32imc", {"batch": 2, "update": "w1[1:3],last"}),
        ("mps3-an547", {"batch": 2, "activation": "Relu"}),
    ],
    ids=str,
)
def test_it_is_bit_exact_on(board: str, how: dict[str, Any], tmp_path: Path) -> None:
    assert_bit_exact(
        compiled(tmp_path, board=board, rate=RATE, **how), tmp_path / "out", samples=60
    )
