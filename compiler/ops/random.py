"""Random numbers without a generator's state: each is computed from (seed, step, index).

So they are the same wherever and in whatever order they are computed, and cost no memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from numpy.random import Generator

from edgetrain.compiler.expr import (
    Dim,
    Expr,
    Operand,
    add,
    assume,
    bit_and,
    bit_xor,
    eq,
    float_bits,
    float_from_bits,
    le,
    lift,
    lt,
    mul,
    mul_wrap,
    narrow,
    select,
    shift_left,
    shift_right,
    sub,
    to_float,
)
from edgetrain.compiler.nest import Nest, axes, elementwise
from edgetrain.compiler.ops.registry import Example, register
from edgetrain.compiler.types import FLOAT32, Int, TensorType

_FACTORS = (0x7FEB352D, 0x846CA68B)
_LOST_BITS = 13
"""Of the 23 bits of a FLOAT32's fraction, FLOAT16 has ten."""
_LEAST_NORMAL = 2.0**-14
_GREATEST = 65504.0
_BYTES = 0x00FF00FF
_LINEAR = 3453432
"""What three times the square is to be added to, for a variance of 1."""


def scramble(x: Expr) -> Expr:
    """A permutation of the 32-bit numbers in which each bit depends on all bits of x.

    Shifts and factors: Wellons, "Prospecting for Hash Functions", 2018 (there `lowbias32`); the
    form is that of the finaliser of MurmurHash3 (Appleby).
    """
    for shift, factor in ((16, _FACTORS[0]), (15, _FACTORS[1])):
        x = mul_wrap(bit_xor(x, shift_right(x, shift)), factor)
    return bit_xor(x, shift_right(x, 16))


def random_bits(seed: int, stream: int, step: Expr, index: Expr) -> Expr:
    """32 random bits of element `index` at `step`, neither negative nor above 2^32 − 1.

    `seed` and `stream` below 2^32; streams of one seed are independent of each other.
    """
    key = bit_xor(scramble(lift(seed)), stream)
    of_step = scramble(bit_xor(scramble(key), step))
    return scramble(bit_xor(scramble(bit_xor(key, index)), of_step))


def _normal(bits: Expr) -> Expr:
    """The sum of the four bytes, from its mean, led by a cubic to the normal distribution.

    Of the 1,021 numbers that it can be, the mean is 0, the variance 1 within 4e-6, the kurtosis
    2.99; the distribution function is the normal's within 0.003, and none is beyond ±4.03.
    """
    pairs = add(bit_and(bits, _BYTES), bit_and(shift_right(bits, 8), _BYTES))
    total = add(bit_and(pairs, 0xFFFF), shift_right(pairs, 16))
    centred = sub(assume(total, Int(0, 4 * 255)), 2 * 255)
    square = assume(mul(centred, centred), Int(0, 510**2))
    return mul(centred, shift_right(add(mul(square, 3), _LINEAR), 8))


def _uniform(bits: Expr) -> Expr:
    """Odd numbers, each as probable, between −2^24 and 2^24."""
    return add(mul(shift_right(bits, 8), 2), 1 - 2**24)


def _rademacher(bits: Expr) -> Expr:
    """The first bit as 1 or −1."""
    return sub(1, bit_and(shift_right(bits, 30), 2))


@dataclass(frozen=True, slots=True)
class Distribution:
    """`draw(32 random bits)` is an integer in units of 2^-fraction, symmetric about 0."""

    draw: Callable[[Expr], Expr]
    fraction: int

    def scaled(self, bits: Expr, scale: float) -> Expr:
        """The number times `scale` as a FLOAT32."""
        z = self.draw(bits)
        if z.type == Int(-1, 1):
            return select(lt(z, 0), lift(-scale, FLOAT32), lift(scale, FLOAT32))
        return mul(to_float(z), scale * 2.0**-self.fraction)


DISTRIBUTIONS: dict[str, Distribution] = {
    "normal": Distribution(_normal, 21),
    "rademacher": Distribution(_rademacher, 0),
    "uniform": Distribution(_uniform, 24),
}
"""Standard normal; −1 or 1; from −1 to 1.  In integers, so that cores without floats have them
too."""


def narrow_at_random(x: Expr, bits: Expr) -> Expr:
    """The FLOAT32 `x` as one of the two FLOAT16 around it: the nearer, the more probable, such that
    the mean is x.  `bits`: 32 random bits.

    The chances are multiples of 2^-13, which is exact from 2^-14 up; below, x is rounded to a
    multiple of 2^-37 first.  Not left to chance: FLOAT16 numbers; NaN, infinities and what is
    beyond ±65504, which are rounded to nearest.
    """
    size = select(lt(x, 0.0), mul(x, -1.0), x)
    # Subnormal FLOAT16 lie as close as those of the next binade; moved there, all are alike.
    moved = select(lt(size, _LEAST_NORMAL), lift(_LEAST_NORMAL, FLOAT32), 0.0)
    # Positive, or the one NaN.
    pattern = assume(float_bits(add(size, moved)), Int(0, 0x7FC00000))
    chance = shift_right(bits, 32 - _LOST_BITS)
    cut = shift_left(shift_right(add(pattern, chance), _LOST_BITS), _LOST_BITS)
    rounded = sub(float_from_bits(cut), moved)
    signed = select(lt(x, 0.0), mul(rounded, -1.0), rounded)
    by_chance = select(lt(size, _GREATEST), signed, x)
    return narrow(select(eq(x, 0.0), x, by_chance))


def flat_index(dims: tuple[Dim, ...]) -> Expr:
    """The index among all elements, row by row."""
    index: Expr = lift(0)
    for dim in dims:
        index = add(mul(index, dim.size), dim)
    return index


def _round_example(rng: Generator) -> Example:
    shape = tuple(int(v) for v in rng.integers(1, 12, int(rng.integers(0, 3))))
    numbers = {"seed": int(rng.integers(2**32)), "stream": int(rng.integers(9))}
    return Example((TensorType(shape, FLOAT32), TensorType((), Int(0, 2**31 - 2))), numbers)


@register("round_stochastic", _round_example)
def round_stochastic(x: TensorType, step: TensorType, *, seed: int, stream: int) -> Nest:
    """y = x in FLOAT16, rounded up or down at random so that the mean is x, element by element; x
    FLOAT32, step a scalar; every step, stream and seed has random numbers of its own."""
    dims = axes(x.shape)

    def rounded(x: Expr, step: Expr) -> Expr:
        return narrow_at_random(x, random_bits(seed, stream, step, flat_index(dims)))

    return elementwise(dims, rounded, x=x, step=step)


def _random_example(rng: Generator) -> Example:
    example = _round_example(rng)
    x, step = example.operands
    sample = TensorType((), Int(0, 6))
    attributes = {
        "shape": x.shape,
        "distribution": str(rng.choice(list(DISTRIBUTIONS))),
        "scale": float(rng.choice([1.0, -0.001, 0.3])),
        **example.attributes,
    }
    return Example((step, sample) if rng.random() < 0.5 else (step,), attributes)


@register("random", _random_example)
def random(
    step: TensorType,
    sample: TensorType | None = None,
    *,
    shape: tuple[int, ...],
    distribution: str,
    scale: float,
    seed: int,
    stream: int,
) -> Nest:
    """y = scale·z in FLOAT32, of any shape; z random numbers of a distribution, of which every step
    has its own, every sample of a batch where there is one, every stream and every seed."""
    dims = axes(shape)

    def scaled(step: Expr, sample: Operand = 0) -> Expr:
        index = add(mul(sample, prod(shape)), flat_index(dims))
        return DISTRIBUTIONS[distribution].scaled(random_bits(seed, stream, step, index), scale)

    return elementwise(dims, scaled, step=step, sample=sample)


def _small_example(rng: Generator) -> Example:
    x = _round_example(rng).operands[0]
    return Example((x, x), {"most": float(rng.choice([0.0, 0.5, 2.0]))})


@register("where_small", _small_example)
def where_small(y: TensorType, x: TensorType, *, most: float) -> Nest:
    """y where |x| ≤ most, elsewhere 0, element by element; y and x of one shape."""

    def kept(y: Expr, x: Expr) -> Expr:
        return select(le(select(lt(x, 0.0), mul(x, -1.0), x), most), y, 0.0)

    return elementwise(axes(x.shape), kept, y=y, x=x)


def _other_example(rng: Generator) -> Example:
    classes = int(rng.integers(2, 20))
    numbers = {"seed": int(rng.integers(2**32)), "stream": int(rng.integers(9))}
    kinds = (Int(0, classes - 1), Int(0, 2**31 - 2), Int(0, 6))[: int(rng.integers(2, 4))]
    return Example(tuple(TensorType((), k) for k in kinds), {"classes": classes, **numbers})


@register("other_label", _other_example)
def other_label(
    label: TensorType,
    step: TensorType,
    sample: TensorType | None = None,
    *,
    classes: int,
    seed: int,
    stream: int,
) -> Nest:
    """y = another of the classes than the label, each as probable; scalars.  Every step has its
    own, every sample of a batch where there is one, every stream and every seed."""

    def other(label: Expr, step: Expr, sample: Operand = 0) -> Expr:
        bits = random_bits(seed, stream, step, lift(sample))
        place = add(label, add(shift_right(mul(bits, classes - 1), 32), 1))
        wrapped = select(le(classes, place), sub(place, classes), place)
        return assume(wrapped, Int(0, classes - 1))

    return elementwise((), other, label=label, step=step, sample=sample)
