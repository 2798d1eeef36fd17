"""The errors of the spelled-out functions stay within what is documented."""

from typing import Any

import numpy as np
import pytest

from edgetrain.compiler.ops.functions import exp, log, sigmoid, tanh
from tests.training.function_errors import CASES, Case, compute

POINTS = 400_000
"""`python -m tests.training.function_errors` takes ten million."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_error_in_float32(case: Case) -> None:
    assert case.bound / 2 < case.error(POINTS) <= case.bound


@pytest.mark.parametrize("case", [c for c in CASES if c.half_bound], ids=lambda case: case.name)
def test_error_in_float16_of_all_numbers(case: Case) -> None:
    assert case.half_bound is not None
    assert 0.49 < case.half_error() <= case.half_bound


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_ends(kind: Any) -> None:
    ends = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, -200.0, 200.0], kind)
    np.testing.assert_array_equal(compute(exp, ends), [np.nan, np.inf, 0, 1, 1, 0, np.inf])
    np.testing.assert_array_equal(compute(tanh, ends), [np.nan, 1, -1, 0, -0.0, -1, 1])
    np.testing.assert_array_equal(compute(sigmoid, ends), [np.nan, 1, 0, 0.5, 0.5, 0, 1])
    np.testing.assert_array_equal(compute(log, ends[:2]), [np.nan, np.inf])
