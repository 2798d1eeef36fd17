"""MNIST, pooled 2×2: 5,000 images to learn from, 10,000 to be tested on."""

import gzip
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.networks import Floats
from tools.experiments.data import data_folder

PIXELS = 196
CLASSES = 10


@dataclass(frozen=True)
class Digits:
    """Images (count, 196) from 0 to 1, and their classes."""

    images: Floats
    labels: NDArray[np.uint8]

    def __getitem__(self, which: Any) -> "Digits":
        return Digits(self.images[which], self.labels[which])

    def __len__(self) -> int:
        return len(self.labels)


@cache
def training_digits() -> Digits:
    """The 5,000, sorted by class as the file has them."""
    with gzip.open(data_folder("mnist") / "mnist_5k.csv.gz", "rt") as file:
        rows = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    return Digits(_pooled(rows[:, :-1]), rows[:, -1])


@cache
def test_digits() -> Digits:
    """The 10,000."""
    folder = data_folder("mnist")
    images = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 784)
    return Digits(_pooled(pixels), np.frombuffer(labels, np.uint8, offset=8))


def _pooled(pixels: NDArray[np.uint8]) -> Floats:
    squares = pixels.reshape(-1, 14, 2, 14, 2).astype(np.float32)
    pooled: Floats = (squares.mean(axis=(2, 4)) / 255).reshape(-1, PIXELS).astype(np.float32)
    return pooled
