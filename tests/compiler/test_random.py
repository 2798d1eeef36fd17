"""Counter-based random numbers: how random they are, and that rounding by them is unbiased."""

from typing import Any

import numpy as np
import pytest

from edgetrain.compiler.expr import Dim, Expr
from edgetrain.compiler.nest import Nest, Out, Read
from edgetrain.compiler.ops.random import narrow_at_random, random_bits, scramble
from edgetrain.compiler.types import FLOAT16, FLOAT32, UINT32, Int, Scalar, TensorType
from edgetrain.executor import NestExecutor, Tensor

COUNT = 2**16
INDEX = Int(0, COUNT - 1)


def evaluate(body: Any, kind: Scalar, **operands: tuple[Any, Scalar]) -> Any:
    """`body` of vectors, and of the index."""
    size = max(len(array) for array, _ in operands.values())
    n = Dim("n", size)
    reads = tuple(Read(k, (n,), TensorType((size,), s)) for k, (_, s) in operands.items())
    expr: Expr = body(*(read.value for read in reads), n)
    nest = Nest((("n", size),), reads, (Out("y", ("n",), kind, expr),))
    (result,) = NestExecutor(nest, {})([Tensor(array, False) for array, _ in operands.values()])
    return result.array


def bits(seed: int, stream: int, step: int, count: int = COUNT) -> Any:
    steps = np.full(count, step, np.uint32)
    return evaluate(
        lambda at, n: random_bits(seed, stream, at, n), UINT32, at=(steps, Int(0, 2**31 - 2))
    )


def flips(left: Any, right: Any) -> Any:
    """How often each of the 32 bits differs."""
    differing = np.bitwise_xor(left, right)
    return np.array([((differing >> bit) & 1).mean() for bit in range(32)])


# Of COUNT fair bits the mean has a deviation of 1/512; in hundreds of such means one may be four
# and a half deviations away.
FAIR = 4.5 * 0.5 / COUNT**0.5


@pytest.mark.parametrize(("seed", "stream", "step"), [(0, 0, 0), (1, 3, 1), (2**32 - 1, 7, 10**6)])
def test_bits_are_even_and_neighbours_unrelated(seed: int, stream: int, step: int) -> None:
    drawn = bits(seed, stream, step)
    assert drawn.dtype == np.uint32
    assert (np.abs(flips(drawn, np.zeros_like(drawn)) - 0.5) < FAIR).all()
    for distance in (1, 2, 64, 257):
        assert (np.abs(flips(drawn[:-distance], drawn[distance:]) - 0.5) < 1.01 * FAIR).all()
    for other in (bits(seed, stream, step + 1), bits(seed, stream + 1, step)):
        assert (np.abs(flips(drawn, other) - 0.5) < FAIR).all()
    assert (np.abs(flips(drawn, bits(seed ^ 1, stream, step)) - 0.5) < FAIR).all()


def test_the_upper_bits_fill_their_range_evenly() -> None:
    """Chi-squared of 2^10 classes: 1,023 ± 45 if the draws are fair."""
    for step in range(4):
        counts = np.bincount(bits(5, 0, step) >> 22, minlength=1024)
        expected = COUNT / 1024
        assert abs(((counts - expected) ** 2 / expected).sum() - 1023) < 4.5 * 45.2


def test_pairs_of_neighbours_fill_the_square_evenly() -> None:
    drawn = bits(6, 0, 0)
    counts = np.bincount((drawn[::2] >> 27) * 32 + (drawn[1::2] >> 27), minlength=1024)
    expected = COUNT / 2 / 1024
    assert abs(((counts - expected) ** 2 / expected).sum() - 1023) < 4.5 * 45.2


def test_numbers_do_not_repeat_more_than_chance_would() -> None:
    """Of 2^19 draws of 32 bits, 32 pairs are expected to be equal."""
    drawn = np.concatenate([bits(7, stream, step) for stream in range(2) for step in range(4)])
    pairs = len(drawn) - len(np.unique(drawn))
    assert abs(pairs - 32) < 4.5 * 32**0.5


def test_scrambling_is_a_permutation_that_spreads_each_bit() -> None:
    x = np.random.default_rng(0).integers(0, 2**32, COUNT, np.uint32)
    kind = Int(0, 2**32 - 1)
    plain = evaluate(lambda v, n: scramble(v), UINT32, v=(x, kind))
    assert len(np.unique(plain)) == len(np.unique(x))
    for bit in range(32):
        changed = evaluate(lambda v, n: scramble(v), UINT32, v=(x ^ np.uint32(1 << bit), kind))
        # Its author states a bias of 0.17 ‰ at most; here chance adds its share.
        assert np.abs(flips(plain, changed) - 0.5).max() < 0.02


def narrowed(x: Any, random: Any) -> Any:
    numbers, chances = x.astype(np.float32), random.astype(np.uint32)
    return evaluate(
        lambda v, r, n: narrow_at_random(v, r), FLOAT16, x=(numbers, FLOAT32), r=(chances, UINT32)
    )


def test_all_half_numbers_and_what_overflows_stay_as_they_are() -> None:
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    random = np.random.default_rng(1).integers(0, 2**32, 2**16)
    result = narrowed(halves, random)
    number = ~np.isnan(halves)
    assert (result.view(np.uint16) == halves.view(np.uint16))[number].all()
    assert np.isnan(result[~number]).all()
    large = np.array([65504, 65510, 65519.9, 65520, 1e6, 3e38, np.inf, np.nan], np.float32)
    for extreme in (0, 2**32 - 1):
        for sign in (1, -1):
            with np.errstate(over="ignore"):
                expected = (sign * large).astype(np.float16)
            np.testing.assert_array_equal(narrowed(sign * large, np.full(8, extreme)), expected)


@pytest.mark.parametrize("scale", [1.0, 3e-3, 2.0**-14, 3e-5, 1e-6, 2.0**-24, 6e4])
def test_the_mean_of_what_is_rounded_is_right(scale: float) -> None:
    """Over all 2^13 chances exactly, up to what is rounded beforehand of a subnormal."""
    rng = np.random.default_rng(2)
    for x in (rng.uniform(0.5, 1, 16) * scale * rng.choice([-1, 1], 16)).astype(np.float32):
        chances = np.arange(2**13, dtype=np.uint64) << 19
        result = narrowed(np.full(2**13, x), chances).astype(np.float64)
        below, above = np.unique(result)[[0, -1]]
        assert below <= x <= above
        assert len(np.unique(result)) <= 2
        spacing = float(np.spacing(np.float16(abs(x))))
        assert abs(result.mean() - float(x)) <= (spacing / 2**14 if abs(x) < 2.0**-14 else 0)


def test_each_element_has_a_chance_of_its_own() -> None:
    x = np.full(COUNT, 1 + 2.0**-12, np.float32)  # a quarter of the way
    drawn = bits(8, 0, 0)
    up = narrowed(x, drawn) > 1
    assert abs(up.mean() - 0.25) < FAIR
    again = narrowed(x, bits(8, 0, 1)) > 1
    assert abs((up & again).mean() - 1 / 16) < FAIR
