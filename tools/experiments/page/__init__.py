"""What docs/experiments.md shows of the committed results; imports nothing that computes them."""

from collections.abc import Callable
from typing import Final

from tools.experiments.page import curves, mnist, saved

TABLES: Final[dict[str, Callable[[], str]]] = {
    "mnist": mnist.table,
    "mnist_curves": curves.images,
    "saved_activations": saved.table,
}
