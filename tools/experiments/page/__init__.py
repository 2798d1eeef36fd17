"""What docs/experiments.md shows of the committed results; imports nothing that computes them."""

from collections.abc import Callable
from typing import Final

from tools.experiments.page import brevitas, can, curves, mnist, saved

TABLES: Final[dict[str, Callable[[], str]]] = {
    "mnist": mnist.table,
    "mnist_curves": curves.images,
    "brevitas": brevitas.table,
    "drift": can.drift,
    "vehicle": can.vehicle,
    "benign": can.benign,
    "can_costs": can.costs,
    "saved_activations": saved.table,
}
