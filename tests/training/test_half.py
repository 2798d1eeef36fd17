"""Networks in FLOAT16: what they learn, loss scales, and steps that are cancelled."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.ops.loss import LOSSES
from edgetrain.compiler.ops.loss_scale import FIRST, GREATEST, PATIENCE
from edgetrain.compiler.rules import RULES, Learning
from edgetrain.pipeline import Program, compile_model
from edgetrain.verify import simulate_calls
from edgetrain.workloads import model_file
from tests.support import assert_bit_exact, needs_tool
from tests.training.models import random_layers, write_mlp
from tests.training.test_gradients import ACTIVATIONS, forward, torch_loss

HALF_RULES = sorted(name for name, rule in RULES.items() if "fp16" in rule.precisions)
SIZES = (9, 7, 6, 4)
UNIT = 2.0**-11
"""Half of the distance from 1 to the next FLOAT16."""
SCALE_STATES = {"loss_scale", "good_steps"}


def half_program(
    directory: Path, board: str = "host", learn: str = "sgd", sizes: Any = SIZES, **how: Any
) -> Program:
    activation = how.pop("activation", "Relu")
    path = write_mlp(directory / "m.onnx", *random_layers(sizes, seed=5), activation)
    return compile_model(path, board, learn=learn, how=Learning(precision="fp16", **how))


@pytest.mark.parametrize("scale", [1, 64, "dynamic"])
@pytest.mark.parametrize(
    ("loss", "activation"), [(loss, a) for loss in sorted(LOSSES) for a in ACTIVATIONS]
)
def test_one_step_follows_autograd(
    loss: str, activation: str, scale: float | str, tmp_path: Path
) -> None:
    """In float64, from the same weights."""
    how: dict[str, Any] = {"loss": loss, "rate": 1.0, "loss_scale": scale}
    how["activation"] = activation
    simulator = half_program(tmp_path, **how).simulator()
    rng = np.random.default_rng(6)
    x = rng.normal(0, 1, SIZES[0]).astype(np.float16)
    target: Any = int(rng.integers(4))
    if not LOSSES[loss].classifies:
        target = rng.normal(0, 1, 4).astype(np.float32)
    before = {n: a.astype(np.float64) for n, a in simulator.state.items() if n not in SCALE_STATES}
    parameters = {n: torch.tensor(a, requires_grad=True) for n, a in before.items()}
    expected = torch_loss(loss, forward(x, parameters, activation), target)
    expected.backward()  # type: ignore[no-untyped-call]
    # Forward and back some twenty roundings follow one another, of numbers of order 1 or 2; by far
    # not all are as large as they could be.
    assert simulator.train_step(x, target) == pytest.approx(expected.item(), abs=16 * UNIT)
    for name, parameter in parameters.items():
        assert parameter.grad is not None
        gradient = parameter.grad.numpy()
        bound = UNIT * (2 + 16 * np.abs(gradient).max())
        after = simulator.state[name].astype(np.float64)
        np.testing.assert_allclose(after, before[name] - gradient, rtol=0, atol=bound, err_msg=name)


@pytest.mark.parametrize("learn", HALF_RULES)
@pytest.mark.parametrize("how", [{}, {"batch": 3}, {"schedule": "cosine", "decay": 0.01}], ids=str)
def test_every_rule_learns_as_in_fp32(learn: str, how: dict[str, Any], tmp_path: Path) -> None:
    """Forty steps of both precisions stay together, roundings apart."""
    half = half_program(tmp_path, learn=learn, rate=0.02, **how).simulator()
    path = tmp_path / "m.onnx"
    single = compile_model(path, learn=learn, how=Learning(rate=0.02, **how)).simulator()
    rng = np.random.default_rng(7)
    shape = (how["batch"],) if "batch" in how else ()
    for _ in range(40):
        x = rng.normal(0, 1, (*shape, SIZES[0])).astype(np.float16).astype(np.float32)
        label = rng.integers(0, 4, shape).astype(np.uint8)
        assert half.train_step(x, label) == pytest.approx(single.train_step(x, label), abs=0.04)
    # Each step may round the weights, of order 1, by a unit.  A single one may differ by more, as
    # Adam, which divides a gradient by its size, makes the difference of a small one large.
    for name in ("w0", "w1", "w2"):
        assert np.abs(half.state[name] - single.state[name]).mean() < 16 * UNIT


FAR = 1e30
"""A target of which the gradient by the outputs is no FLOAT16."""


def calls_with_overflow(program: Program, steps: int) -> list[tuple[Any, ...]]:
    """Every fifth overflows, from the fourth."""
    x_type, target_type = (program.buffers[n].type for n in program.entry("train_step").inputs)
    rng = np.random.default_rng(8)
    made: list[tuple[Any, ...]] = []
    for step in range(steps):
        x = rng.normal(0, 1, x_type.shape).astype(np.float16)
        target = rng.normal(0, 1, target_type.shape).astype(np.float32)
        if step % 5 == 3:
            target[..., 1] = FAR
        made.append((x, target))
    return made


@pytest.mark.parametrize("learn", HALF_RULES)
@pytest.mark.parametrize("how", [{}, {"batch": 3}, {"rounding": "stochastic"}], ids=str)
def test_an_overflow_changes_nothing_but_the_scale(
    learn: str, how: dict[str, Any], tmp_path: Path
) -> None:
    program = half_program(tmp_path, learn=learn, loss="mse", **how)
    simulator = program.simulator()
    for step, call in enumerate(calls_with_overflow(program, 10)):
        before = dict(simulator.state)
        simulator.run("train_step", *call)
        after = simulator.state
        overflown = step % 5 == 3
        factor = 0.5 if overflown else 1
        assert after["loss_scale"] == before["loss_scale"] * factor
        assert after["good_steps"] == (0 if overflown else before["good_steps"] + 1)
        changed = {name for name in after if after[name].tobytes() != before[name].tobytes()}
        assert (changed <= SCALE_STATES) == overflown
        assert all(np.isfinite(array).all() for array in after.values())


@pytest.mark.parametrize(
    ("board", "learn", "how"),
    [
        ("host", "sgd", {}),
        ("host", "adam", {"batch": 2}),
        ("host", "momentum", {"rounding": "stochastic", "seed": 3}),
        ("mps3-an547", "sgd", {}),
        ("mps3-an547", "adam", {"rounding": "stochastic"}),
        ("qemu-rv32-zfh", "momentum", {"batch": 2}),
    ],
)
def test_cancelled_steps_are_bit_exact(
    board: str, learn: str, how: dict[str, Any], tmp_path: Path
) -> None:
    # More than eight, and no multiple of it.
    program = half_program(tmp_path, board, learn, (13, 11, 4), rate=0.05, loss="mse", **how)
    reference = simulate_calls(program, {"train_step": calls_with_overflow(program, 40)})
    assert_bit_exact(program, tmp_path / "out", reference=reference)
    assert reference.state["loss_scale"] <= FIRST / 2**8


def test_the_scale_doubles_after_many_good_steps(tmp_path: Path) -> None:
    simulator = half_program(tmp_path, rate=2.0**-12).simulator()
    x = np.zeros(SIZES[0], np.float32)
    for _ in range(PATIENCE - 1):
        simulator.train_step(x, 0)
    assert simulator.state["loss_scale"] == FIRST
    simulator.train_step(x, 0)
    assert simulator.state["loss_scale"] == 2 * FIRST
    assert simulator.state["good_steps"] == 0


@pytest.mark.parametrize(
    ("scale", "target", "x", "following"),
    [
        (GREATEST, 0.0, 1.0, GREATEST),
        (GREATEST / 2, 0.0, 1.0, GREATEST),
        (1.0, FAR, 1.0, 1.0),
        (2.0, np.float32(3e38), 1.0, 1.0),
        # Both the gradient of the sum and the input are FLOAT16, their product is not.
        (1024.0, 1.0, 30000.0, 512.0),
        (1.0, 1.0, 30000.0, 2.0),
    ],
)
def test_the_scale_has_limits(
    scale: float, target: float, x: float, following: float, tmp_path: Path
) -> None:
    simulator = half_program(tmp_path, loss="mse", sizes=(3, 2), rate=1e-4).simulator()
    state = {name: np.zeros_like(array) for name, array in simulator.state.items()}
    state["loss_scale"] += np.float32(scale)
    state["good_steps"] += np.uint8(PATIENCE - 1)
    simulator.load_state(state)
    simulator.train_step(np.full(3, x, np.float32), np.full(2, target, np.float32))
    assert simulator.state["loss_scale"] == following


@pytest.mark.parametrize("board", ["host", "mps3-an547"])
def test_subnormals_are_kept(board: str, tmp_path: Path) -> None:
    if board != "host":
        needs_tool("qemu-system-arm")
    tiny = float(np.finfo(np.float16).smallest_subnormal)
    rng = np.random.default_rng(9)
    w = (rng.integers(-900, 900, (12, 9)) * tiny).astype(np.float32)
    path = write_mlp(tmp_path / "m.onnx", [w], [np.zeros(9, np.float32)])
    how = Learning(rate=2.0**-14, precision="fp16", loss_scale=1)
    program = compile_model(path, board, learn="sgd", how=how)
    x = (rng.integers(-900, 900, (20, 12)) * tiny).astype(np.float16)
    calls = [(row, np.array(i % 9, np.uint8)) for i, row in enumerate(x)]
    reference = simulate_calls(
        program, {"train_step": calls, "infer": [call[:1] for call in calls]}
    )
    assert_bit_exact(program, tmp_path / "out", reference=reference)
    sizes = np.abs(reference.state["w0"])
    assert ((sizes > 0) & (sizes < 2.0**-14)).mean() > 0.5


def test_stochastic_rounding_learns_where_nearest_stands_still(tmp_path: Path) -> None:
    """Steps far below half a unit of the weights: on average they are taken all the same."""
    moved = {}
    for rounding in ("nearest", "stochastic"):
        how: dict[str, Any] = {"rate": 2.0**-13, "rounding": rounding, "loss_scale": 1}
        simulator = half_program(tmp_path, **how).simulator()
        start = simulator.state["w0"].astype(np.float64)
        rng = np.random.default_rng(10)
        for _ in range(300):
            label = int(rng.integers(4))
            x = np.abs(rng.normal(0, 1, SIZES[0])).astype(np.float32)
            simulator.train_step(x, label)
        moved[rounding] = simulator.state["w0"].astype(np.float64) - start
    exact = compile_model(tmp_path / "m.onnx", learn="sgd", how=Learning(rate=2.0**-13)).simulator()
    start = exact.state["w0"].astype(np.float64)
    rng = np.random.default_rng(10)
    for _ in range(300):
        label = int(rng.integers(4))
        exact.train_step(np.abs(rng.normal(0, 1, SIZES[0])).astype(np.float32), label)
    wanted = exact.state["w0"].astype(np.float64) - start

    def along(step: Any) -> float:
        """The share of the wanted way that was gone."""
        return float((step * wanted).sum() / (wanted * wanted).sum())

    assert along(moved["nearest"]) < 0.5
    assert along(moved["stochastic"]) == pytest.approx(1, abs=0.25)


def test_inference_alone_is_half_too(tmp_path: Path) -> None:
    weights, biases = random_layers(SIZES, seed=5)
    path = write_mlp(tmp_path / "m.onnx", weights, biases, "Tanh")
    program = compile_model(path, "host", how=Learning(precision="fp16"))
    assert_bit_exact(program, tmp_path / "out", samples=100)
    x = np.random.default_rng(0).normal(0, 1, (50, SIZES[0])).astype(np.float32)
    simulator = program.simulator()
    assert simulator.infer(x, raw=True).dtype == np.float16
    single = compile_model(path).simulator().infer(x)
    np.testing.assert_allclose(simulator.infer(x), single, atol=32 * UNIT)
    with pytest.raises(InputError, match="too large for FLOAT16"):
        simulator.infer(x * np.float32(1e5))


def test_what_cannot_be_half_is_refused(tmp_path: Path) -> None:
    half = Learning(precision="fp16")
    with pytest.raises(InputError, match=r"does not compute in FLOAT16; boards that do: .*host"):
        half_program(tmp_path, "mps2-an386")
    with pytest.raises(InputError, match="quantised"), model_file("can-ids-w2a2") as path:
        compile_model(path, how=half)
    weights, biases = random_layers((3, 2), seed=1)
    weights[0][1, 1] = 1e5
    with pytest.raises(InputError, match="100000"):
        compile_model(write_mlp(tmp_path / "large.onnx", weights, biases), how=half)
    with pytest.raises(InputError, match="holds NaN or infinity"):
        half_program(tmp_path).simulator().train_step(np.full(SIZES[0], 1e5, np.float32), 0)
    for wrong in (0, 3, 2.0**25, "many", "nan", -2):
        with pytest.raises(InputError, match="loss scale"):
            Learning(precision="fp16", loss_scale=wrong)
    with pytest.raises(InputError, match="fp16 only"):
        Learning(precision="fp32", loss_scale=2)
    with pytest.raises(InputError, match="not for fp32"):
        Learning(precision="fp32", rounding="stochastic")
    with pytest.raises(InputError, match="unknown rounding"):
        Learning(precision="fp16", rounding="up")
    with pytest.raises(InputError, match="unknown precision"):
        Learning(precision="fp8")
    with pytest.raises(InputError, match="seed"):
        Learning(precision="fp16", rounding="stochastic", seed=-1)
