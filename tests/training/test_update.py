"""Sparse updates: what is chosen learns as it would anyway; the rest is constant and saves work."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import edgetrain as et
from edgetrain.budget import fit_update
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.rules import Learning
from edgetrain.pipeline import Program, compile_model, read_report
from edgetrain.report import render
from tests.support import assert_bit_exact
from tests.training.models import random_layers, write_mlp

SIZES = (9, 8, 6, 4)
CHANNELS = {"w0": 8, "b0": 8, "w1": 6, "b1": 6, "w2": 4, "b2": 4}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_mlp(tmp_path / "m.onnx", *random_layers(SIZES, seed=5), "Tanh")


def learning(model: Path, update: str, batch: int = 1, board: str = "host") -> Program:
    """With no momentum kept, the momentum is the gradient."""
    how = Learning(update=update, momentum=0.0, batch=batch)
    return compile_model(model, board, learn="momentum", how=how)


def part(first: int | None, end: int | None, *names: str) -> dict[str, slice]:
    return {name: slice(first, end) for name in names}


def whole(*names: str) -> dict[str, slice]:
    return part(None, None, *names)


# What learns, and how many times a gradient must pass through weights; half a layer counts too.
SPECS: dict[str, tuple[dict[str, slice], int]] = {
    "all": (whole(*CHANNELS), 2),
    "last": (whole("w2", "b2"), 0),
    "layer2": (whole("w2", "b2"), 0),
    "biases": (whole("b0", "b1", "b2"), 2),
    "b2": (whole("b2"), 0),
    "w1, b2": (whole("w1", "b2"), 1),
    "layer0": (whole("w0", "b0"), 2),
    "w2[1:3]": (part(1, 3, "w2", "b2"), 0),
    "w1[:2],last": ({**part(0, 2, "w1", "b1"), **whole("w2", "b2")}, 1),
    "w0[5:],w1[2:3]": ({**part(5, 8, "w0", "b0"), **part(2, 3, "w1", "b1")}, 3),
    "w1[0:6]": (whole("w1", "b1"), 1),
}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("spec", SPECS)
def test_what_is_chosen_gets_the_gradient_of_a_full_update(
    spec: str, batch: int, model: Path
) -> None:
    chosen, passes = SPECS[spec]
    full, sparse = (learning(model, update, batch) for update in ("all", spec))
    assert sorted(n for n in sparse.initial if n in CHANNELS) == sorted(chosen)
    back = [c.op for c in sparse.entry("train_step").calls if c.op.startswith("matmul_t")]
    assert len(back) <= passes  # some are joined with an update
    left, right = full.simulator(), sparse.simulator()
    rng = np.random.default_rng(1)
    for _ in range(5):
        x = rng.normal(0, 1, (batch, SIZES[0])).astype(np.float32)
        labels = rng.integers(0, SIZES[-1], batch)
        one = (x, labels) if batch > 1 else (x[0], labels[0])
        assert left.infer(x).tobytes() == right.infer(x).tobytes()
        start = dict(left.state), dict(right.state)
        assert left.train_step(*one) == right.train_step(*one)
        for name, span in chosen.items():
            expected = left.state[f"m_{name}"][..., span]
            # Below a layer in two parts a gradient is the sum of two sums.
            ulps = 64 if "w1[2:3]" in spec and name in ("w0", "b0") else 0
            np.testing.assert_array_max_ulp(right.state[f"m_{name}"], expected, ulps)
        left.load_state(start[0])
        right.load_state(start[1])


def test_what_is_not_chosen_is_constant_and_costs_nothing(model: Path) -> None:
    full = learning(model, "all")
    for spec in SPECS:
        sparse = learning(model, spec)
        weights = sum(full.initial[name].size for name in CHANNELS)
        kept = sum(a.size for a in sparse.constants.values())
        assert (
            kept + sum(sparse.initial[n].size for n in sparse.initial if n in CHANNELS) == weights
        )
        assert sparse.state_bytes <= full.state_bytes
        ops = {call.op for call in sparse.entry("train_step").calls}
        if spec in ("last", "layer2", "b2"):
            assert not any("gradient" in op and "entropy" not in op for op in ops), ops


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ("", "names no parameter"),
        ("w3", "w3"),
        ("layer9,last", "layer9"),
        ("frozen", "frozen"),
        ("w1[2:9]", "6 output channels"),
        ("w1[3:3]", "6 output channels"),
        ("w1[1:2],w1[3:4]", "two parts"),
        ("w1[1:2],all", "two parts"),
        ("b1[0:1]", "names no parameter"),
    ],
)
def test_what_cannot_be_meant_is_refused(spec: str, what: str, model: Path) -> None:
    with pytest.raises(InputError, match=what.replace("[", r"\[")) as refusal:
        learning(model, spec)
    assert "w1[" in str(refusal.value)


@pytest.mark.parametrize(
    ("board", "learn", "options"),
    [
        ("host", "adam", {"update": "w1[2:5],last", "batch": 4, "schedule": "cosine"}),
        ("host", "sgd", {"update": "last", "warmup": 5}),
        ("mps2-an386", "adam", {"update": "w0[:3],b2", "schedule": "cosine", "decay": 0.01}),
        ("mps2-an386", "sgd", {"update": "last", "batch": 4, "schedule": "step"}),
        ("qemu-rv32imc", "adam", {"batch": 4, "update": "w2[1:3]"}),
        ("qemu-rv32imc", "momentum", {"update": "biases", "schedule": "linear", "batch": 3}),
        ("mps3-an547", "adam", {"precision": "fp16", "update": "w1[2:5],last", "batch": 4}),
        (
            "host",
            "adam",
            {"precision": "fp16", "loss_scale": "dynamic", "update": "last", "batch": 2},
        ),
        ("qemu-rv32-zfh", "adam", {"precision": "fp16", "schedule": "cosine", "warmup": 3}),
        ("qemu-rv32-zvfh", "momentum", {"precision": "fp16", "update": "last", "batch": 2}),
    ],
)
def test_it_is_bit_exact_on(
    board: str, learn: str, options: dict[str, Any], model: Path, tmp_path: Path
) -> None:
    how = Learning(schedule_steps=20, **options)
    assert_bit_exact(
        compile_model(model, board, learn=learn, how=how), tmp_path / "out", samples=40
    )


def test_the_report_says_what_was_saved(model: Path, tmp_path: Path) -> None:
    for update in ("all", "last"):
        et.compile(
            model, directory=tmp_path / update, learn="adam", update=update, with_image=False
        )
    full, last = (read_report(tmp_path / update) for update in ("all", "last"))
    assert (full.update, full.full_state_bytes) == ("all", None)
    assert last.update == "last"
    assert last.full_state_bytes == full.state_bytes > last.state_bytes
    assert last.full_arena_bytes == full.arena_bytes >= last.arena_bytes
    assert last.full_step_multiplications == full.step_multiplications
    assert full.step_multiplications is not None
    assert last.step_multiplications is not None
    assert last.step_multiplications < full.step_multiplications / 2
    assert "compared with all" in render(tmp_path / "last")
    assert "compared with all" not in render(tmp_path / "all")


def test_a_budget_of_ram_is_kept_and_used(model: Path) -> None:
    def overhead(program: Program) -> int:
        """More for more parameters, as a deeper stack."""
        return 100 + 7 * len(program.initial)

    def needs(program: Program) -> int:
        return program.state_bytes + program.arena_bytes + overhead(program)

    compiled = cache(lambda update: learning(model, update))

    def fitted(limit: int) -> set[str]:
        program = fit_update(compiled, limit, overhead)
        assert needs(program) <= limit
        return program.initial.keys() & CHANNELS.keys()

    most = needs(compiled("all"))
    assert fitted(most) == fitted(10**6) == CHANNELS.keys()
    assert {"b2", "w2"} <= fitted(most - 1) < CHANNELS.keys()
    least = min(needs(compiled(name)) for name in CHANNELS)
    assert len(fitted(least)) == 1
    with pytest.raises(InputError, match=f"needs {least} bytes of RAM, 1 more than --budget-ram"):
        fitted(least - 1)
    numbers = [len(fitted(limit)) for limit in range(least, most, 300)]
    assert numbers == sorted(numbers)


def test_a_budget_of_ram_counts_the_built_stack(model: Path, tmp_path: Path) -> None:
    """A budget that state and arena alone would keep."""
    full = learning(model, "all")
    budget = full.state_bytes + full.arena_bytes
    et.compile(model, directory=tmp_path / "out", learn="momentum", momentum=0.0, budget_ram=budget)
    report = read_report(tmp_path / "out")
    assert report.ram_bytes is not None
    assert report.ram_bytes <= budget
    assert report.update not in ("all", None)
    plain = et.compile(model, learn="momentum", momentum=0.0, budget_ram=budget)
    assert plain.state_bytes == full.state_bytes


@pytest.mark.parametrize("wrong", ["lots", "-5", "1G", "", "1.5K"])
def test_a_budget_that_is_no_number_is_refused(wrong: str, model: Path) -> None:
    with pytest.raises(InputError, match="budget-ram"):
        et.compile(model, learn="sgd", budget_ram=wrong)


def test_a_budget_chooses_alone(model: Path) -> None:
    for options in ({}, {"learn": "sgd", "update": "last"}):
        with pytest.raises(InputError, match="budget-ram"):
            et.compile(model, budget_ram="64K", **options)  # type: ignore[arg-type]


def test_a_constant_added_to_a_layer_is_its_bias(tmp_path: Path) -> None:
    """PyTorch writes Gemm, others MatMul and Add: both learn the same."""
    weights, biases = random_layers(SIZES, seed=5)
    joined = write_mlp(tmp_path / "gemm.onnx", weights, biases, "Tanh")
    proto = onnx.load(joined)
    nodes = []
    for node in proto.graph.node:
        if node.op_type != "Gemm":
            nodes.append(node)
            continue
        product = f"{node.output[0]}_product"
        nodes.append(helper.make_node("MatMul", node.input[:2], [product]))
        nodes.append(helper.make_node("Add", [product, node.input[2]], node.output))
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    onnx.save(proto, tmp_path / "apart.onnx")
    rng = np.random.default_rng(3)
    left, right = (
        learning(path, "w1[1:3],last").simulator() for path in (joined, tmp_path / "apart.onnx")
    )
    for _ in range(5):
        x = rng.normal(0, 1, SIZES[0]).astype(np.float32)
        assert left.train_step(x, 1) == right.train_step(x, 1)
    assert left.state.keys() == right.state.keys()
    assert all(left.state[n].tobytes() == right.state[n].tobytes() for n in left.state)
