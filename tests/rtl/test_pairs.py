"""Sums over pairs are the sums that they were, however many terms are compared at a time."""

import numpy as np
import pytest

from edgetrain.compiler.expr import Expr, Local
from edgetrain.compiler.types import Int
from edgetrain.kernels.rtl import pairs
from edgetrain.kernels.rtl.linear import Linear, signed_digits
from edgetrain.kernels.rtl.pairs import share_pairs


def value(whole: Linear, known: dict[Expr, int]) -> int:
    return whole.constant + sum(times * known[term] for term, times in whole.terms.items())


@pytest.mark.parametrize("compared", [1_000_000, 500])
@pytest.mark.parametrize("half", [1, 100])
@pytest.mark.parametrize("kind", [Int(0, 255), Int(-8, 7)], ids=lambda kind: kind.name)
def test_the_same_sums(
    kind: Int, half: int, compared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "MOST_COMPARED", compared)
    rng = np.random.default_rng([half, kind.hi])
    terms = [Local(f"x{i}", kind) for i in range(12)]
    weights = rng.integers(-half, half, (20, len(terms)), endpoint=True)
    sums = [Linear(3, dict(zip(terms, map(int, row), strict=True))) for row in weights]
    made = share_pairs(sums, "pair")
    assert made
    before = sum(len(signed_digits(int(w))) for w in weights.flat)
    after = sum(len(signed_digits(w)) for whole in sums for w in whole.terms.values())
    assert after < before
    for _ in range(20):
        x = rng.integers(kind.lo, kind.hi, len(terms), endpoint=True)
        known: dict[Expr, int] = dict(zip(terms, map(int, x), strict=True))
        for local, pair in made:
            known[local] = value(pair, known)
            assert isinstance(local.type, Int)
            assert known[local] in local.type
            assert not local.type.signed
        assert [value(whole, known) for whole in sums] == [int(row @ x) + 3 for row in weights]
