"""Learning rates against their definitions in float64, and division by a multiplication."""

from typing import Any

import click
import numpy as np
import pytest

from edgetrain.cli import cli
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.expr import Dim
from edgetrain.compiler.nest import Nest, Out, Read
from edgetrain.compiler.ops import OPS
from edgetrain.compiler.ops.schedule import MOST_STEPS, SCHEDULES, whole_periods
from edgetrain.compiler.rules import Learning
from edgetrain.compiler.rules.step import COUNT
from edgetrain.compiler.types import TensorType
from edgetrain.executor import NestExecutor, Tensor


def share(schedule: str, step: int, steps: int, factor: float) -> float:
    """What remains of the rate, as textbooks have it."""
    at = min(step, steps) / steps
    match schedule:
        case "constant":
            return 1.0
        case "step":
            return factor ** (step // steps)
        case "linear":
            return 1 + (factor - 1) * at
        case "cosine":
            return factor + (1 - factor) * (1 + float(np.cos(np.pi * at))) / 2
    raise AssertionError(schedule)


@pytest.mark.parametrize("warmup", [0, 1, 7])
@pytest.mark.parametrize("factor", [0.0, 0.1, 0.5, 0.97, 1.0])
@pytest.mark.parametrize("steps", [1, 3, 60, 1000])
@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_rates(schedule: str, steps: int, factor: float, warmup: int) -> None:
    attributes = {"steps": steps, "factor": factor, "warmup": warmup, "rate": 0.3}
    kind = TensorType((), COUNT)
    nest = OPS["learning_rate"].meaning(kind, schedule=schedule, **attributes)
    taken = np.concatenate([np.arange(0, 150), np.arange(150, 2500, 37), [10**6, COUNT.hi]])
    (result,) = NestExecutor(nest, {})([Tensor(taken.astype(np.int32), True)])
    expected = []
    for step in taken.tolist():
        risen = min(step + 1, warmup) / warmup if warmup else 1.0
        expected.append(0.3 * risen * share(schedule, max(step - warmup, 0), steps, factor))
    # A dozen roundings; and what 0.97 rounded to FLOAT32 becomes after its power.
    np.testing.assert_allclose(result.array, expected, rtol=2e-6, atol=1e-38)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 10, 641, 2**16 - 1, 2**16 + 1, 10**6, MOST_STEPS])
def testwhole_periods_are_exact_up_to_the_last_step(steps: int) -> None:
    rng = np.random.default_rng(steps)
    drawn = rng.integers(0, COUNT.hi, 20000)
    near = np.minimum(drawn // steps * steps + rng.integers(-1, 2, len(drawn)), COUNT.hi)
    taken = np.concatenate([np.maximum(near, 0), drawn, [COUNT.hi, COUNT.hi - 1]])
    read = Read("t", (Dim("n", len(taken)),), TensorType((len(taken),), COUNT))
    body = whole_periods(read.value, steps)
    nest = Nest((("n", len(taken)),), (read,), (Out("y", ("n",), body.type, body),))
    (result,) = NestExecutor(nest, {})([Tensor(taken.astype(np.int32), False)])
    assert np.array_equal(result.array, taken // steps)


@pytest.mark.parametrize(
    "wrong",
    [
        {"schedule": "magic"},
        {"schedule_steps": 0},
        {"schedule_steps": MOST_STEPS + 1},
        {"schedule_factor": 1.5},
        {"schedule_factor": float("nan")},
        {"warmup": -1},
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Learning(**wrong)


def test_the_command_line_offers_every_schedule() -> None:
    (option,) = [p for p in cli.commands["compile"].params if p.name == "schedule"]
    assert isinstance(option.type, click.Choice)
    assert [*option.type.choices] == [*SCHEDULES]
