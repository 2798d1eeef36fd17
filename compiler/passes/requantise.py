"""Replaces many thresholds by one multiplication and a shift, where that is proven the same."""

from dataclasses import dataclass
from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.graph import Graph, Node, Value
from edgetrain.compiler.ops import OPS
from edgetrain.compiler.types import Int, TensorType

_MAX_SHIFT = 40


@dataclass(frozen=True, slots=True)
class Requantise:
    """threshold(x, t) → requantise(x, m, b) for tables of at least `levels` thresholds a channel.

    Exact: (x·m + b) >> s rises with x, so that it equals the count for every accumulator in range
    iff it does so on both sides of every threshold, which is checked in integers.  A channel
    for which no line of at most 40 fraction bits passes keeps the whole layer's table.
    """

    levels: int = 16
    name: str = "requantise"
    exact: bool = True

    def apply(self, graph: Graph) -> Graph:
        nodes: list[Node] = []
        constants = dict(graph.constants)
        for node in graph.nodes:
            replaced = self._replace(node, constants) if node.op == "threshold" else None
            nodes.append(node if replaced is None else replaced)
        return graph.with_nodes(nodes, constants)

    def _replace(self, node: Node, constants: dict[Value, NDArray[Any]]) -> Node | None:
        x, t = node.inputs
        (y,) = node.outputs
        table = constants.get(t)
        if table is None or table.shape[1] < self.levels:
            return None
        assert isinstance(x.type.scalar, Int)
        assert isinstance(y.type.scalar, Int)
        lines = fit_lines(table, y.type.scalar.lo, x.type.scalar)
        if lines is None:
            return None
        factors, offsets, shift = lines
        operands = []
        for name, array in (("m", factors), ("b", offsets)):
            kind = TensorType(array.shape, Int(int(array.min()), int(array.max())))
            operands.append(Value(f"{y.name}_{name}", kind))
            constants[operands[-1]] = array
        within = y.type.scalar
        kinds = (x.type, *(v.type for v in operands))
        nest = OPS["requantise"].meaning(*kinds, shift=shift, within=within)
        if nest.out_type(nest.outs[0]) != y.type:
            return None
        return Node("requantise", nest, (x, *operands), (y,))


def fit_lines(
    table: NDArray[Any], lowest: int, x: Int
) -> tuple[NDArray[np.int64], NDArray[np.int64], int] | None:
    """(m, b, shift) a channel such that clamp((x·m + b) >> shift) counts the thresholds ≤ x."""
    targets = lowest + 1 + np.arange(table.shape[1], dtype=np.int64)
    intervals = [_slopes(row, targets, x) for row in table]
    for shift in range(_MAX_SHIFT + 1):
        fitted = []
        for row, (least, most) in zip(table, intervals, strict=True):
            factor = floor((least + most) / 2 * 2**shift + 0.5)
            offset = _offset(row, targets, x, factor, shift)
            if offset is None:
                break
            fitted.append((factor, offset))
        else:
            factors, offsets = zip(*fitted, strict=True)
            return np.array(factors, np.int64), np.array(offsets, np.int64), shift
    return None


def _points(
    row: NDArray[Any], targets: NDArray[np.int64], x: Int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Where the line must reach a level, (x, level), and where it must stay below, (x, level)."""
    reach, below = row <= x.hi, row > x.lo
    return row[reach], targets[reach], row[below] - 1, targets[below]


def _slopes(row: NDArray[Any], targets: NDArray[np.int64], x: Int) -> tuple[float, float]:
    """The slopes of lines that separate the points; only a start, which `_offset` checks."""
    xr, vr, xb, vb = _points(row, targets, x)
    if not len(xr) or not len(xb):
        return 0.0, 0.0
    dx = xr[:, None] - xb[None, :]
    dv = (vr[:, None] - vb[None, :]).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = dv / dx
    least = ratio[dx > 0].max(initial=0.0)
    most = ratio[dx < 0].min(initial=float(2 * len(row)))
    return float(least), float(most)


def _offset(
    row: NDArray[Any], targets: NDArray[np.int64], x: Int, factor: int, shift: int
) -> int | None:
    """The least b with which the line passes every point, or None; in exact integers."""
    xr, vr, xb, vb = _points(row, targets, x)
    least = max(
        ((v << shift) - p * factor for p, v in zip(xr.tolist(), vr.tolist(), strict=True)),
        default=None,
    )
    most = min(
        ((v << shift) - p * factor - 1 for p, v in zip(xb.tolist(), vb.tolist(), strict=True)),
        default=None,
    )
    if least is None:
        return most if most is None else min(most, 0)
    return least if most is None or least <= most else None
