"""Pulling cuts back through a chain, against evaluating the chain at every integer."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from edgetrain.compiler.onnx_io.exact import (
    Affine,
    Chain,
    Clamp,
    Cuts,
    Leaky,
    NotExpressibleError,
    Step,
    first_integers,
    slope_sign,
)
from tests.oracles.reals import Real, add, multiply, sign, times_root

LO, HI = -8, 9

small = st.builds(Fraction, st.integers(-6, 6), st.sampled_from([1, 2, 3, 4]))
positive = st.builds(Fraction, st.integers(1, 6), st.sampled_from([1, 2, 3, 4]))
radicands = st.sampled_from([Fraction(n, d) for n, d in ((1, 1), (2, 1), (9, 4), (1, 2), (3, 1))])


@st.composite
def clamps(draw: st.DrawFn) -> Clamp:
    lo, hi = draw(st.none() | small), draw(st.none() | small)
    return Clamp(hi, lo) if lo is not None and hi is not None and hi < lo else Clamp(lo, hi)


steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(Affine, small, small, radicands), clamps(), st.builds(Leaky, positive)
)


@st.composite
def cuts(draw: st.DrawFn) -> Cuts:
    multiples = sorted(draw(st.lists(st.integers(-9, 9), min_size=1, max_size=6, unique=True)))
    inclusive = draw(st.lists(st.booleans(), min_size=len(multiples), max_size=len(multiples)))
    return Cuts(draw(positive), tuple(multiples), tuple(inclusive))


def evaluate(chain: Chain, x: int) -> Real:
    value: Real = Fraction(x)
    for step in chain:
        match step:
            case Affine(c, d, v):
                value = add(times_root(multiply(value, c), 1 / v), d)
            case Clamp(lo, hi):
                if lo is not None and sign(add(value, -lo)) < 0:
                    value = lo
                if hi is not None and sign(add(value, -hi)) > 0:
                    value = hi
            case Leaky(slope):
                value = value if sign(value) >= 0 else multiply(value, slope)
    return value


def slowly(chain: Chain, cuts: Cuts) -> list[int]:
    found = []
    for m, inclusive in zip(cuts.multiples, cuts.inclusive, strict=True):
        signs = {x: sign(add(evaluate(chain, x), -cuts.unit * m)) for x in range(LO, HI + 1)}
        beyond = (x for x, s in signs.items() if s > 0 or (inclusive and s == 0))
        found.append(next(beyond, HI + 1))
    return found


@settings(max_examples=1500, deadline=None)
@given(st.lists(steps, max_size=4), cuts())
def test_the_first_integers_are_those_of_the_chain(chain: list[Step], cuts: Cuts) -> None:
    if slope_sign(tuple(chain)) < 0:
        chain.insert(0, Affine(Fraction(-1), Fraction(0)))
    try:
        expected = slowly(tuple(chain), cuts)
    except ArithmeticError:
        expected = None  # a sum of two roots
    try:
        found = first_integers(tuple(chain), cuts, LO, HI)
    except NotExpressibleError:
        return  # more is refused than needs to be, never less
    assert expected is None or found == expected


def test_most_chains_are_expressible() -> None:
    root = Affine(Fraction(3), Fraction(1, 2), Fraction(2))
    chain = (root, Clamp(Fraction(0), None), root, Leaky(Fraction(2)))
    cuts = Cuts(Fraction(1, 2), tuple(range(-40, 41)), tuple(m % 2 == 0 for m in range(-40, 41)))
    assert first_integers(chain, cuts, LO, HI) == slowly(chain, cuts)
