"""Losses, rates and updates without floats: how far they are from the real functions, and that no
number leaves its width."""

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetrain.compiler.expr import Apply, Const, Dim, Expr, Local, subexpressions
from edgetrain.compiler.nest import Nest, Out
from edgetrain.compiler.ops import OPS
from edgetrain.compiler.ops.fixed_loss import LOSS_FRACTION, ONE
from edgetrain.compiler.ops.schedule import SCHEDULES
from edgetrain.compiler.rules import RULES, Learning
from edgetrain.compiler.rules.learning import INTEGER
from edgetrain.compiler.types import Int, TensorType
from edgetrain.executor import evaluate
from edgetrain.pipeline import compile_model
from edgetrain.workloads import find_model
from tests.training.models import random_layers, write_quantised_mlp

Array = Any


def run(op: str, *operands: tuple[Array, Int], **attributes: Any) -> Array:
    arrays = [np.asarray(array) for array, _ in operands]
    kinds = [TensorType(a.shape, kind) for a, (_, kind) in zip(arrays, operands, strict=True)]
    return evaluate(OPS[op].meaning(*kinds, **attributes), arrays)[0]


def exponentials(below: Array, unit: float) -> Array:
    kind = Int(-int(below.max()), 0)
    return run("exp_shifted_fixed", (-below, kind), (0, kind), unit=unit)


def test_an_exponential_is_near_the_real_one() -> None:
    """Every argument in steps of 2^-15, until nothing is left: all that the formula can meet."""
    t = np.arange(18 * ONE)
    found = exponentials(t, np.log(2) / ONE)
    error = found - ONE * 2.0 ** (-t / ONE)
    assert np.abs(error).max() < 1.2
    assert (found[0], found[-1]) == (ONE, 0)
    assert (np.diff(found.astype(int)) <= 0).all()


@pytest.mark.parametrize("unit", [0.7, 2.0**-5, 2.0**-9, 3e-6])
@pytest.mark.parametrize("classes", [2, 5, 200])
def test_probabilities_and_losses_are_near_the_real_ones(classes: int, unit: float) -> None:
    rng = np.random.default_rng(classes)
    spread = int(8 / unit)
    kind = Int(-spread, spread)
    worst = [0.0, 0.0]
    for _ in range(60):
        z = rng.integers(-spread, spread + 1, classes) // int(rng.integers(1, 30))
        label = int(rng.integers(classes))
        residual, loss = softmax(z, kind, label, unit)
        shifted = unit * (z - z.max())
        p = np.exp(shifted) / np.exp(shifted).sum()
        wanted = p - (np.arange(classes) == label)
        worst[0] = max(worst[0], float(np.abs(residual - ONE * wanted).max()))
        worst[1] = max(worst[1], abs(loss * 2.0**-LOSS_FRACTION + np.log(p[label])))
    # One for the exponential, one for the reciprocal, a half for rounding.
    assert worst[0] < 4
    assert worst[1] < 2.0**-9


def softmax(z: Array, kind: Int, label: int, unit: float) -> tuple[Array, int]:
    m = int(z.max())
    e = run("exp_shifted_fixed", (z, kind), (m, kind), unit=unit)
    s = int(e.astype(int).sum())
    sums, labels = Int(0, ONE * len(z)), Int(0, len(z) - 1)
    r = run("reciprocal_fixed", (s, sums))
    positive = Int(0, ONE)
    residual = run("softmax_residual_fixed", (e, positive), (r, positive), (label, labels))
    operands = (label, labels), (z, kind), (m, kind), (s, sums)
    return residual, int(run("cross_entropy_fixed", *operands, unit=unit))


@pytest.mark.parametrize("warmup", [0, 7])
@pytest.mark.parametrize("factor", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_share_of_the_rate_is_near_that_in_floats(
    schedule: str, factor: float, warmup: int
) -> None:
    how = {"schedule": schedule, "steps": 90, "factor": factor, "warmup": warmup}
    kind = Int(0, 2**31 - 2)
    for step in (0, 1, 5, 6, 7, 8, 40, 96, 97, 98, 200, 1000, 2**31 - 2):
        share = run("rate_share", (step, kind), **how)
        rate = run("learning_rate", (step, kind), rate=1.0, **how)
        assert float(share) / ONE == pytest.approx(float(rate), abs=2.0**-11)


Interval = tuple[int, int]


def interval(node: Apply, args: Sequence[Interval]) -> Interval:
    """Where the result of a primitive lies, by rules of its own."""
    (a, b), *rest = args
    c, d = rest[0] if rest else (0, 0)
    corners: list[int] = []
    match node.op:
        case "add":
            return a + c, b + d
        case "sub":
            return a - d, b - c
        case "mul":
            corners = [a * c, a * d, b * c, b * d]
        case "shl":
            corners = [a << c, a << d, b << c, b << d]
        case "shr":
            corners = [a >> c, a >> d, b >> c, b >> d]
        case "div":
            corners = [a // c, a // d, b // c, b // d]
        case "min":
            return min(a, c), min(b, d)
        case "max":
            return max(a, c), max(b, d)
        case "select":
            (e, f) = rest[1]
            return min(c, e), max(d, f)
        case "lt" | "le" | "eq":
            return 0, 1
        case "and":
            return 0, min(b, d)
        case "xor" | "or":
            return 0, (1 << max(b, d).bit_length()) - 1
        case "mul_wrap":
            return 0, 2**32 - 1
    # `assume` is not here: nothing may rest on a maker's word.
    return min(corners), max(corners)


def bounds(expr: Expr, known: Mapping[str, Interval]) -> Interval:
    """Of an expression; every part of it lies in its type."""
    found: dict[Expr, Interval] = {}
    for node in subexpressions(expr):
        match node:
            case Const(value):
                found[node] = (int(value), int(value))
            case Dim(_, size):
                found[node] = (0, size - 1)
            case Local(name):
                found[node] = known[name]
            case Apply(_, args):
                found[node] = interval(node, [found[a] for a in args])
        lo, hi = found[node]
        assert isinstance(node.type, Int)
        assert node.type.lo <= lo <= hi <= node.type.hi
        assert -(2**63) <= lo <= hi < 2**63
    return found[expr]


def check_nest(nest: Nest) -> None:
    known = {}
    for read in nest.reads:
        assert isinstance(read.type.scalar, Int)
        known[read.local] = (read.type.scalar.lo, read.type.scalar.hi)
    for out in nest.outs:
        check_out(nest, out, known)


def check_out(nest: Nest, out: Out, known: Mapping[str, Interval]) -> None:
    own = dict(known)
    if out.fold is not None:
        lo, hi = bounds(out.fold.term, known)
        first, last = bounds(out.fold.init, known)
        turns = prod(nest.sizes[d] for d in nest.folded_dims(out))
        if out.fold.op == "add":
            own["acc"] = (first + min(0, turns * lo), last + max(0, turns * hi))
        else:
            own["acc"] = (min(first, lo), max(last, hi))
        assert isinstance(out.fold.type, Int)
        assert out.fold.type.lo <= own["acc"][0] <= own["acc"][1] <= out.fold.type.hi
    lo, hi = bounds(out.body, own)
    assert isinstance(out.type, Int)
    assert out.type.lo <= lo <= hi <= out.type.hi


HOWS: list[dict[str, Any]] = [
    {},
    {"rounding": "stochastic", "schedule": "cosine", "warmup": 9, "batch": 5},
    {"loss": "hinge", "latent": "int8", "schedule": "step", "rate": 1e5},
]


@pytest.mark.parametrize("how", HOWS, ids=str)
@pytest.mark.parametrize("precision", ["w2a2", "w8a8", "can-ids-w2a2"])
@pytest.mark.parametrize("learn", [n for n, rule in RULES.items() if INTEGER in rule.precisions])
def test_every_width_is_proved(
    learn: str, precision: str, how: dict[str, Any], tmp_path: Path
) -> None:
    """Of a whole training step, by intervals that are computed anew: no sum, product or shift can
    leave the type that the printers go by, whatever the inputs and the state."""
    if precision == "can-ids-w2a2":
        path = Path(find_model(precision))
    else:
        layers = random_layers((20, 9, 7, 4), seed=3)
        path = write_quantised_mlp(tmp_path / "net.onnx", *layers, precision)
    program = compile_model(path, learn=learn, how=Learning(precision=INTEGER, **how))
    for call in program.entry("train_step").calls:
        check_nest(call.nest)
