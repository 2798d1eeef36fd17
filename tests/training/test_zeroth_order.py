"""Learning from losses at moved parameters, against plain NumPy: MeZO and Sparse-MeZO."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgetrain as et
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.passes import run_passes
from edgetrain.compiler.plan import arena_bytes
from edgetrain.compiler.rounding import fused_multiply_add
from edgetrain.compiler.rules import Learning
from edgetrain.compiler.rules.network import Network
from edgetrain.compiler.rules.parameter import latent_type
from edgetrain.pipeline import Program, compile_model
from tests.support import assert_bit_exact
from tests.training import forward_rules as reference
from tests.training.models import random_layers, write_mlp

SIZES = (7, 6, 5, 4)
RATE = 2.0**-6


def compiled(directory: Path, sizes: Any = SIZES, **how: Any) -> Program:
    activation, board = how.pop("activation", "Tanh"), how.pop("board", "host")
    path = write_mlp(directory / "m.onnx", *random_layers(sizes, seed=5), activation)
    how["options"] = tuple(how.pop("options", {}).items())
    return compile_model(path, board, learn="zeroth-order", how=Learning(**how))


def draw(rng: np.random.Generator, loss: str, batch: int, sizes: Any = SIZES) -> tuple[Any, Any]:
    x = rng.normal(0, 1, (batch, sizes[0])).astype(np.float32)
    if loss in ("mse", "multilabel"):
        return x, rng.normal(0, 1, (batch, sizes[-1])).astype(np.float32)
    return x, rng.integers(0, sizes[-1], batch)


def parameters_of(state: Any) -> dict[str, Any]:
    return {name: array.copy() for name, array in state.items() if name != "step"}


CASES: list[dict[str, Any]] = [
    *({"loss": loss} for loss in ("cross-entropy", "mse", "hinge", "bce")),
    *({"activation": name} for name in ("Relu", "LeakyRelu", "Sigmoid", "Identity")),
    {"batch": 3},
    {"options": {"signs": 1}},
    {"mask": "small"},
    {"mask": "small", "options": {"sparsity": 0.5, "signs": 1}, "batch": 2},
]


@pytest.mark.parametrize("how", CASES, ids=str)
def test_a_step_is_along_the_direction_bit_for_bit(how: dict[str, Any], tmp_path: Path) -> None:
    """There is one float32 number g, near the slope of the loss in float64, such that every
    parameter has become w − rate·(g·z), rounded as written."""
    epsilon, seed = 2.0**-4, 77
    given = how.get("options", {})
    program = compiled(
        tmp_path, **{**how, "options": {"epsilon": epsilon, **given}}, rate=RATE, seed=seed
    )
    simulator, initial = program.simulator(), parameters_of(program.initial)
    loss, batch = how.get("loss", "cross-entropy"), how.get("batch", 1)
    rng = np.random.default_rng(3)
    for step in range(4):
        x, target = draw(rng, loss, batch)
        before = parameters_of(simulator.state)
        value = simulator.train_step(*((x, target) if batch > 1 else (x[0], target[0])))
        z = {}
        for stream, (name, w) in enumerate(before.items()):
            z[name] = reference.drawn(seed, stream, step, w.shape, signs="signs" in given)
            if "mask" in how and w.ndim > 1:
                z[name] *= small(initial[name], w, given.get("sparsity", 0.8))
        losses = reference.mean_loss(how.get("activation", "Tanh"), loss, x, target)
        up, down = reference.ends(losses, before, z, epsilon)
        assert value == pytest.approx((up + down) / 2, rel=1e-6)
        found = slopes(z, before, simulator.state)
        # Two losses of order 1, in float32, over 2·epsilon.
        assert found.size
        assert np.abs(found - (up - down) / (2 * epsilon)).min() < 2e-5


def slopes(z: Any, before: Any, after: Any) -> Any:
    """All g in float32 with which every element has become what it has."""
    found: Any = None
    for name in sorted(z, key=lambda name: z[name].size):
        for at in np.ndindex(z[name].shape):
            number, w = np.float32(z[name][at]), before[name][at]
            if found is None:
                middle = np.float32((w - after[name][at]) / RATE / number)
                around = np.arange(-(2**17), 2**17, dtype=np.int32)
                found = (middle.view(np.int32) + around).view(np.float32)
            gradients = (number * found).astype(np.float32)
            rates, starts = np.full_like(found, -RATE), np.full_like(found, w)
            found = found[fused_multiply_add(gradients, rates, starts) == after[name][at]]
    return found


def small(initial: Any, now: Any, sparsity: float) -> Any:
    """Which elements learn: as large as the (1 − sparsity) smallest have been at first."""
    sizes = np.sort(np.abs(initial), axis=None)
    count = round((1 - sparsity) * sizes.size)
    return np.abs(now) <= (sizes[count - 1].astype(float) + sizes[count]) / 2


def test_of_several_directions_the_mean_counts(tmp_path: Path) -> None:
    how = {"epsilon": 2.0**-4, "directions": 3}
    simulator = compiled(tmp_path, rate=RATE, seed=5, options=how).simulator()
    rng = np.random.default_rng(4)
    for step in range(3):
        x, target = draw(rng, "cross-entropy", 1)
        before = parameters_of(simulator.state)
        simulator.train_step(x[0], target[0])

        losses = reference.mean_loss("Tanh", "cross-entropy", x, target)
        total = {name: np.zeros(w.shape) for name, w in before.items()}
        for number in range(3):
            z = {
                name: reference.drawn(5, stream, step, w.shape, number)
                for stream, (name, w) in enumerate(before.items())
            }
            up, down = reference.ends(losses, before, z, 2.0**-4)
            total = {n: total[n] + (up - down) / (2 * 2.0**-4) * z[n] / 3 for n in total}
        for name, w in before.items():
            # The losses' roundings, over 2·epsilon, times numbers up to 4.
            np.testing.assert_allclose(simulator.state[name], w - RATE * total[name], atol=3e-6)


@pytest.mark.parametrize("signs", [0, 1])
def test_the_mean_of_many_steps_is_the_gradient(signs: int, tmp_path: Path) -> None:
    """Of n numbers, d directions give an estimate whose cosine with the gradient is about
    √(d/(d + n))."""
    sizes = (3, 4, 2)
    how = {"directions": 4, "epsilon": 2.0**-7, "signs": signs}
    program = compiled(tmp_path, sizes, rate=2.0**-10, options=how)
    plain = compile_model(tmp_path / "m.onnx", learn="sgd", how=Learning(rate=2.0**-10))
    x, steps = np.array([0.5, -1, 2], np.float32), 128
    exact, simulator = plain.simulator(), program.simulator()
    exact.train_step(x, 1)
    total = {name: np.zeros(w.shape) for name, w in plain.initial.items()}
    for step in range(steps):
        simulator.load_state({**program.initial, "step": np.array(step, np.int32)})
        simulator.train_step(x, 1)
        for name in total:
            total[name] += simulator.state[name] - program.initial[name]
    left = np.concatenate([total[name].ravel() / steps for name in total])
    right = np.concatenate([(exact.state[n] - plain.initial[n]).ravel() for n in total])
    assert left @ right / np.linalg.norm(left) / np.linalg.norm(right) > 0.95
    assert np.linalg.norm(left) == pytest.approx(np.linalg.norm(right), rel=0.1)


DEPTHS = [(9, 7, 5), (16, 24, 4), (12, 12, 12, 12, 3), (40, 8, 8, 8, 8, 6)]


@pytest.mark.parametrize("sizes", DEPTHS, ids=str)
@pytest.mark.parametrize(
    "how",
    [{}, {"mask": "small"}, {"options": {"directions": 5}}, {"decay": 0.01, "schedule": "cosine"}],
    ids=str,
)
def test_it_takes_no_more_memory_than_inference(
    sizes: Any, how: dict[str, Any], tmp_path: Path
) -> None:
    """Beside the parameters: the number of the step, in state; and the losses, slopes and what
    becomes of the outputs within the loss."""
    program = compiled(tmp_path, sizes, **how)
    parameters = sum(array.nbytes for name, array in program.initial.items() if name != "step")
    assert program.state_bytes == parameters + 4
    inference = arena_bytes(run_passes(program.sources[0]))
    scalars = 8 * (6 + 3 * how.get("options", {}).get("directions", 1))
    assert program.arena_bytes <= inference + 8 * sizes[-1] + scalars


def test_of_a_batch_no_large_matrix_is_stored(tmp_path: Path) -> None:
    program = compiled(tmp_path, (40, 30, 20, 4), batch=4)
    largest = max(b.bytes for b in program.buffers.values() if b.kind == "arena")
    assert largest <= 4 * 30 * 4


def test_a_quantised_network_takes_no_more_than_its_latents_and_inference() -> None:
    program = et.compile("can-ids-w2a2", learn="zeroth-order")
    assert program.arena_bytes <= arena_bytes(run_passes(program.sources[0])) + 128
    assert program.state_bytes == et.compile("can-ids-w2a2", learn="sgd").state_bytes + 4


def test_a_quantised_network_moves_its_latents() -> None:
    """Against its own inference with the integers to which NumPy rounds the moved latents."""
    epsilon, rate = 0.02, 2.0**-8
    program = et.compile(
        "can-ids-w2a2", learn="zeroth-order", lr=rate, options={"epsilon": epsilon}
    )
    network, simulator = program.sources[0], program.simulator()
    assert isinstance(network, Network)
    x = (np.random.default_rng(2).random(57) < 0.3).astype(np.int8)
    for step in range(3):
        before = dict(simulator.state)
        real, units, z = {}, {}, {}
        for stream, (current, learnable) in enumerate(network.learnable.items()):
            kept = f"latent_{current.name}"
            _, fraction = latent_type("int16", learnable)
            units[current.name] = learnable.unit * 2.0 ** -(fraction or 0)
            real[current.name] = before.get(kept, before[current.name]) * units[current.name]
            z[current.name] = reference.drawn(0, stream, step, current.type.shape)
        losses = []
        for by in (epsilon, -epsilon):
            moved = dict(before)
            for current, learnable in network.learnable.items():
                steps = np.rint((real[current.name] + by * z[current.name]) / learnable.unit)
                levels = np.clip(steps, learnable.levels.lo, learnable.levels.hi)
                moved[current.name] = levels.astype(before[current.name].dtype)
            other = program.simulator()
            other.load_state(moved)
            losses.append(reference.loss_of("cross-entropy", other.infer(x[None])[0], 1))
        value = simulator.train_step(x, 1)
        assert value == pytest.approx(sum(losses) / 2, rel=1e-5)
        g = (losses[0] - losses[1]) / (2 * epsilon)
        assert g
        for name, numbers in real.items():
            after = simulator.state.get(f"latent_{name}", simulator.state[name])
            expected = (numbers - rate * g * z[name]) / units[name]
            # Where the latents can be; and the last roundings of float32 before an integer's.
            inside = (after > after.min()) & (after < after.max())
            assert inside.any()
            assert np.abs(after - expected)[inside].max() < 0.51 + 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("board", "how"),
    [
        ("mps2-an386", {"mask": "small", "options": {"sparsity": 0.4}, "schedule": "linear"}),
        ("mps2-an386", {"options": {"directions": 2, "signs": 1}, "batch": 3}),
        ("qemu-rv32imc", {"options": {"directions": 2}, "decay": 0.01}),
        ("qemu-rv32imc", {"mask": "small", "options": {"signs": 1}, "batch": 2, "update": "last"}),
        ("mps3-an547", {"batch": 2, "update": "w1[1:3]"}),
    ],
    ids=str,
)
def test_it_is_bit_exact_on(board: str, how: dict[str, Any], tmp_path: Path) -> None:
    assert_bit_exact(
        compiled(tmp_path, board=board, rate=RATE, **how), tmp_path / "out", samples=60
    )


def test_masks_are_those_of_the_rule(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown mask 'large'; known: small"):
        Learning(mask="large")
    with pytest.raises(InputError, match="sgd has no mask 'small'; rules with it: zeroth-order"):
        et.compile("mlp-4-3-2-fp32", learn="sgd", mask="small")
    with pytest.raises(InputError, match="give --learn"):
        et.compile("mlp-4-3-2-fp32", mask="small")
    with pytest.raises(InputError, match="not defined in fp16"):
        compiled(tmp_path, precision="fp16")
