"""The error of the spelled-out functions, in units of the last place of float32."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgetrain.compiler.expr import Dim, Expr
from edgetrain.compiler.nest import Nest, Out, Read
from edgetrain.compiler.ops.functions import exp, log, quarter_sine, tanh
from edgetrain.compiler.types import FLOAT32, TensorType
from edgetrain.executor import NestExecutor, Tensor

POINTS = 1_000_001


def compute(function: Callable[[Expr], Expr], x: Any) -> Any:
    n = Dim("n", len(x))
    read = Read("x", (n,), TensorType((len(x),), FLOAT32))
    body = function(read.value)
    nest = Nest((("n", len(x)),), (read,), (Out("y", ("n",), FLOAT32, body),))
    (result,) = NestExecutor(nest, {})([Tensor(x, False)])
    return result.array


def ulps(computed: Any, real: Any) -> float:
    """The greatest distance, in spacings of float32 at the real value."""
    place = np.spacing(np.maximum(np.abs(real), 2.0**-126).astype(np.float32))
    return float(np.max(np.abs(computed.astype(np.float64) - real) / place.astype(np.float64)))


CASES: list[tuple[Any, Any, Any, float]] = [
    (exp, np.exp, np.linspace(-104, 88.7, POINTS), 1.0),
    (exp, np.exp, np.linspace(-1, 1, POINTS), 1.0),
    (log, np.log, np.geomspace(2.0**-126, 3e38, POINTS), 0.83),
    (log, np.log, np.linspace(0.5, 2, POINTS), 0.83),
    (tanh, np.tanh, np.linspace(-10, 10, POINTS), 2.0),
    (tanh, np.tanh, np.geomspace(1e-30, 1, POINTS), 2.0),
    (quarter_sine, lambda x: np.sin(np.pi / 2 * x), np.linspace(-1, 1, POINTS), 3.5),
]


@pytest.mark.parametrize(("function", "reference", "points", "bound"), CASES)
def test_error(function: Any, reference: Any, points: Any, bound: float) -> None:
    x = points.astype(np.float32)
    assert ulps(compute(function, x), reference(x.astype(np.float64))) <= bound


def test_ends() -> None:
    ends = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, -200.0, 200.0], np.float32)
    np.testing.assert_array_equal(compute(exp, ends), [np.nan, np.inf, 0, 1, 1, 0, np.inf])
    np.testing.assert_array_equal(compute(tanh, ends), [np.nan, 1, -1, 0, -0.0, -1, 1])
