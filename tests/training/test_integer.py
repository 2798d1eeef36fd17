"""Networks that learn without floats: against a step in Python's integers, and against floats."""

from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.expr import subexpressions
from edgetrain.compiler.graph import Value
from edgetrain.compiler.onnx_io.export import export_graph
from edgetrain.compiler.onnx_io.load import import_model
from edgetrain.compiler.rules import RULES, Learning
from edgetrain.compiler.rules.learning import INTEGER
from edgetrain.compiler.types import Int
from edgetrain.pipeline import Program, compile_model
from edgetrain.workloads import find_model
from tests.oracles.onnxruntime_runs import Device
from tests.training.integer_reference import Reference
from tests.training.models import random_layers, write_mlp, write_quantised_mlp

SIZES = (20, 9, 7, 4)
STEPS = 15
RULES_IN_INTEGERS = sorted(name for name, rule in RULES.items() if INTEGER in rule.precisions)
DETECTOR = "can-ids-w2a2"


def network(tmp_path: Path, precision: str) -> Path:
    if precision == DETECTOR:
        return Path(find_model(DETECTOR))
    layers = random_layers(SIZES, seed=3)
    return write_quantised_mlp(tmp_path / f"{precision}.onnx", *layers, precision)


def compiled(path: Path, learn: str = "sgd", board: str = "host", **how: Any) -> Program:
    return compile_model(path, board, learn=learn, how=Learning(precision=INTEGER, **how))


def samples_of(path: Path, count: int) -> list[tuple[Any, int]]:
    """Codes of the input, and labels."""
    rng = np.random.default_rng(5)
    x, y = (values[0].type for values in ends_of(path))
    assert isinstance(x.scalar, Int)
    codes = rng.integers(x.scalar.lo, x.scalar.hi + 1, (count, *x.shape))
    codes = codes // 3 if x.scalar.hi > 1 else codes
    return [(code, int(rng.integers(y.size))) for code in codes]


def ends_of(path: Path) -> tuple[tuple[Value, ...], tuple[Value, ...]]:
    """The inputs and the outputs of a network."""
    graph = import_model(path, learnable=True).graph
    return graph.inputs, graph.outputs


@pytest.mark.parametrize("learn", ["sgd", "momentum"])
@pytest.mark.parametrize(
    ("precision", "rate", "halves"),
    [("w2a2", 2.0**-4, 0), ("w4a4", 1e-3, 6), ("w8a8", 2.0**-4, 6), (DETECTOR, 1e-3, 0)],
)
def test_steps_are_those_of_the_reference(
    precision: str, rate: float, halves: int, learn: str, tmp_path: Path
) -> None:
    path = network(tmp_path, precision)
    how: dict[str, Any] = {"rate": rate}
    if halves:
        how |= {"schedule": "step", "schedule_steps": halves, "schedule_factor": 0.5}
    program = compiled(path, learn, **how)
    simulator, model = program.simulator(), import_model(path, learnable=True)
    assert model.quantisation is not None
    names = {each.name for each in model.quantisation.learnable.values()}
    begin = {n: a for n, a in simulator.state.items() if n.removeprefix("latent_") in names}
    reference = Reference(model, begin, Learning(**how))
    if learn == "momentum":
        reference.fade = 3  # 1 − 1/8 for 0.9
    for x, label in samples_of(path, STEPS):
        assert simulator.train_step(x, label) == reference.step(x, label) / 4096
        for name, array in reference.state.items():
            np.testing.assert_array_equal(simulator.state[name], array.astype(np.int64), name)
    assert reference.held < 0.01 * reference.kept


@pytest.mark.parametrize("precision", ["w2a2", "w4a4", "w8a8", DETECTOR])
@pytest.mark.parametrize("learn", RULES_IN_INTEGERS)
def test_a_step_is_near_that_in_floats(learn: str, precision: str, tmp_path: Path) -> None:
    """Roundings apart: a gradient of 16 bits is that of floats."""
    path = network(tmp_path, precision)
    rate = 1e-3 if precision == DETECTOR else 2.0**-4
    integers = compiled(path, learn, rate=rate)
    floats = compile_model(path, learn=learn, how=Learning(rate=rate))
    for x, label in samples_of(path, 3):
        moved = []
        for simulator in (integers.simulator(), floats.simulator()):
            before = {n: a.astype(float) for n, a in simulator.state.items()}
            loss = simulator.train_step(x, label)
            moved.append({n: a - before[n] for n, a in simulator.state.items()} | {"": loss})
        ours, theirs = moved
        assert ours.pop("") == pytest.approx(theirs.pop(""), abs=2e-3)
        for name, expected in theirs.items():
            if not name.startswith("latent_"):
                continue
            coarse = 2 + 2.0**-8 * np.abs(expected).max()
            np.testing.assert_allclose(ours[name], expected, rtol=2.0**-8, atol=coarse)


VARIANTS: list[dict[str, Any]] = [
    {},
    {"batch": 3, "schedule": "linear", "warmup": 2},
    {"loss": "hinge", "schedule": "cosine", "latent": "int8", "rounding": "nearest"},
    {"update": "w1[2:5],last", "rounding": "stochastic"},
]


@pytest.mark.parametrize("how", VARIANTS, ids=str)
@pytest.mark.parametrize("learn", RULES_IN_INTEGERS)
def test_no_number_is_a_float(learn: str, how: dict[str, Any], tmp_path: Path) -> None:
    program = compiled(network(tmp_path, "w4a4"), learn, rate=0.02, schedule_steps=5, **how)
    kinds = {buffer.type.scalar for buffer in program.buffers.values()}
    for entry in program.entries:
        for call in entry.calls:
            expressions = [e for out in call.nest.outs for e in out.expressions]
            kinds |= {node.type for each in expressions for node in subexpressions(each)}
    assert all(isinstance(kind, Int) for kind in kinds)


@pytest.mark.parametrize("how", VARIANTS[:3], ids=str)
@pytest.mark.parametrize("learn", RULES_IN_INTEGERS)
def test_onnxruntime_learns_the_same(learn: str, how: dict[str, Any], tmp_path: Path) -> None:
    program = compiled(network(tmp_path, "w4a4"), learn, rate=0.02, schedule_steps=5, **how)
    simulator, device = program.simulator(), Device(export_graph(program.sources[-1]))
    batch = how.get("batch", 1)
    drawn = samples_of(network(tmp_path, "w4a4"), 4 * batch)
    for n in range(4):
        x, label = (
            np.array(each) for each in zip(*drawn[n * batch : (n + 1) * batch], strict=True)
        )
        if batch == 1:
            x, label = x[0], label[0]
        assert device.train_step(x, label) == simulator.run("train_step", x, label)[0]
        for name, array in simulator.state.items():
            np.testing.assert_array_equal(device.state[name], array, name)


def test_a_batch_of_one_sample_is_that_sample(tmp_path: Path) -> None:
    path = network(tmp_path, "w4a4")
    one, four = (compiled(path, rate=2.0**-9, batch=n).simulator() for n in (1, 4))
    for x, label in samples_of(path, 5):
        assert one.train_step(x, label) == four.train_step(np.stack([x] * 4), np.array([label] * 4))
        for name, array in one.state.items():
            np.testing.assert_array_equal(four.state[name], array, name)


def test_chance_is_right_in_the_mean(tmp_path: Path) -> None:
    path = network(tmp_path, "w8a8")
    runs = [
        compiled(path, rate=2.0**-12, rounding="stochastic", seed=seed).simulator()
        for seed in range(24)
    ]
    nearest = compiled(path, rate=2.0**-12).simulator()
    (x, label), *_ = samples_of(path, 1)
    for simulator in (*runs, nearest):
        simulator.train_step(x, label)
    for name in ("latent_w0", "latent_w1", "latent_w2"):
        found = np.stack([simulator.state[name] for simulator in runs]).astype(float)
        assert np.ptp(found, axis=0).max() == 1
        differs = found - nearest.state[name]
        assert np.abs(differs).max() <= 1
        # Of each element the mean lies within half of the nearest, of all it is random.
        assert np.abs(differs.mean(axis=0)).max() < 0.5 + 4 * 0.5 / sqrt(len(runs))
        # The roundings to nearest of so many elements are off by 0.29 each.
        assert abs(differs.mean()) < 4 * 0.29 / sqrt(nearest.state[name].size)


def clusters(count: int) -> tuple[Any, Any]:
    """Three classes of two clusters each, in twenty dimensions."""
    rng = np.random.default_rng(1)
    centres, which = rng.normal(0, 1, (6, 20)), rng.integers(0, 6, count)
    x = centres[which] + rng.normal(0, 0.8, (count, 20))
    return x.astype(np.float32), (which % 3).astype(np.uint8)


@pytest.mark.parametrize("precision", ["w2a2", "w4a4"])
def test_it_learns_as_well_as_with_floats(precision: str, tmp_path: Path) -> None:
    path = write_quantised_mlp(
        tmp_path / "net.onnx", *random_layers((20, 16, 3), seed=3), precision
    )
    x, labels = clusters(1400)
    accuracies = []
    for how in ({}, {"precision": INTEGER}):
        learning = Learning(rate=2.0**-5, **how)  # type: ignore[arg-type]
        simulator = compile_model(path, learn="sgd", how=learning).simulator()
        for code, label in zip(simulator.program.input_code.encode(x[:400]), labels, strict=False):
            simulator.train_step(code, label)
        right = simulator.infer(x[400:]).argmax(axis=1) == labels[400:]
        accuracies.append(float(right.mean()))
    floats, integers = accuracies
    assert floats > 0.85
    assert integers > floats - 0.03


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ({"loss": "mse"}, "the loss mse needs floats; in integer: cross-entropy, hinge"),
        ({"loss": "bce"}, "the loss bce needs floats"),
        ({"decay": 0.1}, "integer has no weight decay"),
        ({"latent": "fp16"}, "integer has no latents of fp16"),
        ({"loss_scale": 64.0}, "a loss scale is for fp16 only"),
        ({"save_activations": "int4"}, "activations have few bits already"),
    ],
)
def test_what_needs_floats_is_refused(how: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what):
        Learning(precision=INTEGER, **how)


def test_a_float_model_and_other_rules_are_refused(tmp_path: Path) -> None:
    path = write_mlp(tmp_path / "net.onnx", *random_layers(SIZES, seed=3))
    with pytest.raises(InputError, match="a float model does not compute in integer"):
        compiled(path)
    with pytest.raises(InputError, match="adam is not defined in integer"):
        compiled(network(tmp_path, "w2a2"), "adam")
    with pytest.raises(InputError, match="not for fp16 or integer"):
        compiled(network(tmp_path, "w2a2"), "tinyprop", options=(("s_max", 1.0),))


def test_a_class_that_does_not_exist_changes_nothing(tmp_path: Path) -> None:
    path = network(tmp_path, "w4a4")
    simulator = compiled(path, rate=2.0**-4).simulator()
    (x, _), *_ = samples_of(path, 1)
    with pytest.raises(InputError):
        simulator.train_step(x, SIZES[-1])
    for name, array in compiled(path, rate=2.0**-4).simulator().state.items():
        np.testing.assert_array_equal(simulator.state[name], array)
