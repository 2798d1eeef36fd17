"""The counter-based random numbers in Python's integers, apart from the ops that compute them."""

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

FIRST_STREAM = 2**16
"""That of a rule's first random numbers."""


def bits(seed: int, stream: int, step: int, index: int) -> int:
    """32 random bits."""
    key = _hash(seed) ^ stream
    return _hash(_hash(key ^ index) ^ _hash(_hash(key) ^ step))


def _hash(x: int) -> int:
    """Wellons' lowbias32."""
    x = ((x ^ x >> 16) * 0x7FEB352D) % 2**32
    x = ((x ^ x >> 15) * 0x846CA68B) % 2**32
    return x ^ x >> 16


def uniform(seed: int, stream: int, step: int, shape: tuple[int, ...]) -> Doubles:
    """Between −1 and 1."""
    drawn = [bits(seed, stream, step, i) >> 8 for i in range(int(np.prod(shape)))]
    return ((2 * np.array(drawn, np.float64) + 1) / 2**24 - 1).reshape(shape)


def normal(seed: int, stream: int, step: int, size: int, sample: int = 0) -> Doubles:
    """Of mean 0 and variance 1: `size` numbers for each sample of a batch."""
    drawn = []
    for i in range(size):
        word = bits(seed, stream, step, sample * size + i)
        c = sum(word.to_bytes(4, "little")) - 510
        drawn.append(c * ((3453432 + 3 * c * c) // 256) / 2**21)
    return np.array(drawn)
