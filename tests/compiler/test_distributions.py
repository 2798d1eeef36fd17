"""Random numbers of a distribution: their exact moments, and that no two uses share them."""

from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from edgetrain.compiler.ops import OPS
from edgetrain.compiler.ops.random import DISTRIBUTIONS
from edgetrain.compiler.types import UINT32, Int, TensorType
from edgetrain.executor import evaluate as run
from tests.compiler.test_random import evaluate

STEP = TensorType((), Int(0, 2**31 - 2))
COUNT = 2**16


def integers(name: str, bits: Any) -> Any:
    drawn = DISTRIBUTIONS[name].draw
    kind = Int(-(2**24), 2**24)
    return evaluate(lambda v, n: drawn(v), kind, v=(np.asarray(bits, np.uint32), UINT32)).astype(
        np.int64
    )


def draw(step: int = 0, sample: int | None = None, **attributes: Any) -> Any:
    given = {"shape": (COUNT,), "distribution": "normal", "scale": 1.0, "seed": 1, "stream": 2}
    operands = [np.array(step)] + ([] if sample is None else [np.array(sample)])
    kinds = (STEP, TensorType((), Int(0, 9)))[: len(operands)]
    return run(OPS["random"].meaning(*kinds, **{**given, **attributes}), operands)[0]


def normal_numbers() -> tuple[Any, list[int]]:
    """The 1,021 numbers that the normal ones can be, and how many of 2^32 bit patterns give each:
    those of four bytes with one sum."""
    sums = range(4 * 255 + 1)
    bits = [sum(min(max(s - 255 * i, 0), 255) << (8 * i) for i in range(4)) for s in sums]
    byte = np.ones(256, np.int64)
    two = np.convolve(byte, byte)
    return integers("normal", bits), np.convolve(two, two).tolist()


def test_normal_numbers_depend_on_the_sum_of_the_bytes_alone() -> None:
    by_sum, counts = normal_numbers()
    assert sum(counts) == 2**32
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, COUNT, np.uint32)
    sums = bits.view(np.uint8).reshape(-1, 4).sum(axis=1, dtype=int)
    np.testing.assert_array_equal(integers("normal", bits), by_sum[sums])


def test_normal_numbers_have_the_moments_that_are_said() -> None:
    numbers, counts = normal_numbers()
    values = [int(v) for v in numbers]
    assert values == [-v for v in reversed(values)]
    assert values == sorted(set(values))

    def moment(power: int) -> float:
        """Exact up to the last division."""
        total = sum(n * v**power for v, n in zip(values, counts, strict=True))
        return float(total / 2 ** (32 + 21 * power))

    assert abs(moment(2) - 1) < 4e-6
    assert abs(moment(4) - 2.99) < 0.001
    assert abs(moment(6) - 15) < 0.7
    assert max(values) / 2**21 < 4.03


def test_the_distribution_of_normal_numbers_is_near() -> None:
    """The distance of Kolmogorov and Smirnov; that of the best 1,021 numbers would be 0.0013."""
    numbers, counts = normal_numbers()
    above = np.cumsum(counts) / 2**32
    below = above - np.array(counts) / 2**32
    exact = np.array([NormalDist().cdf(v / 2**21) for v in numbers])
    assert max(np.abs(above - exact).max(), np.abs(below - exact).max()) < 0.003


def test_uniform_numbers_and_signs_are_even() -> None:
    ends = np.array([0, 255, 256, 2**31 - 1, 2**31, 2**32 - 1], np.uint32)
    expected = [1 - 2**24, 1 - 2**24, 3 - 2**24, -1, 1, 2**24 - 1]
    np.testing.assert_array_equal(integers("uniform", ends), expected)
    np.testing.assert_array_equal(integers("rademacher", ends), [1, 1, 1, 1, -1, -1])


@pytest.mark.parametrize(
    ("name", "variance", "fourth"),
    [("normal", 1, 3), ("rademacher", 1, 1), ("uniform", 1 / 3, 0.2)],
)
def test_what_is_drawn_has_these_moments(name: str, variance: float, fourth: float) -> None:
    """Means of COUNT numbers, within four and a half of their deviations."""
    z = draw(distribution=name).astype(np.float64)
    for power, mean in ((1, 0), (2, variance), (3, 0), (4, fourth)):
        powers = z**power
        # The normal numbers' kurtosis is 2.99.
        slack = 0.02 if name == "normal" else 1e-5
        assert abs(powers.mean() - mean) < 4.5 * powers.std() / COUNT**0.5 + slack


def test_every_step_sample_stream_and_seed_has_its_own() -> None:
    drawn = [
        draw(),
        draw(step=1),
        draw(stream=3),
        draw(seed=2),
        draw(sample=1),
        draw(sample=2),
        draw(step=1, sample=1),
    ]
    close = 4.5 / COUNT**0.5
    for i, left in enumerate(drawn):
        for right in drawn[:i]:
            assert abs(np.mean(left.astype(np.float64) * right)) < close
        neighbours = np.mean(left[1:].astype(np.float64) * left[:-1])
        assert abs(neighbours) < close


def test_the_samples_of_a_batch_follow_each_other_in_one_stream() -> None:
    both = draw(shape=(2, 30))
    np.testing.assert_array_equal(both[0], draw(shape=(30,), sample=0))
    np.testing.assert_array_equal(both[1], draw(shape=(30,), sample=1))


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_scale_turns_and_stretches_exactly(name: str) -> None:
    plain = draw(distribution=name)
    np.testing.assert_array_equal(draw(distribution=name, scale=-0.25), plain * np.float32(-0.25))
