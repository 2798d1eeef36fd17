"""The error of the spelled-out functions, measured: `python -m tests.training.function_errors`.

FLOAT32 on ten million points of a range, half of them drawn over the bit patterns, so that all
magnitudes occur; FLOAT16 on all 65,536.  In units of the last place at the real value.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgetrain.compiler.expr import Dim, Expr
from edgetrain.compiler.nest import Nest, Out, Read
from edgetrain.compiler.ops.functions import exp, log, quarter_sine, sigmoid, tanh
from edgetrain.compiler.types import FLOAT16, FLOAT32, TensorType
from edgetrain.executor import NestExecutor, Tensor

ALL_POINTS = 10**7
_CHUNK = 2**18


def compute(function: Callable[[Expr], Expr], x: Any) -> Any:
    """As the simulator does, in the type of `x`."""
    n = Dim("n", len(x))
    kind = FLOAT16 if x.dtype == np.float16 else FLOAT32
    read = Read("x", (n,), TensorType((len(x),), kind))
    nest = Nest((("n", len(x)),), (read,), (Out("y", ("n",), kind, function(read.value)),))
    (result,) = NestExecutor(nest, {})([Tensor(x, False)])
    return result.array


def ulps(computed: Any, real: Any) -> float:
    """The greatest distance, in spacings of the type of `computed` at the real value."""
    kind = computed.dtype
    tiny = float(np.finfo(kind).tiny)
    place = np.spacing(np.maximum(np.abs(real), tiny).astype(kind)).astype(np.float64)
    return float(np.max(np.abs(computed.astype(np.float64) - real) / place))


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


@dataclass(frozen=True)
class Case:
    """A function, what it ought to be, where in FLOAT32, and the bounds of its errors."""

    function: Callable[[Expr], Expr]
    real: Callable[[Any], Any]
    low: float
    high: float
    bound: float
    half_bound: float | None

    @property
    def name(self) -> str:
        return self.function.__name__

    def points(self, count: int) -> Any:
        """From `low` to `high`: half of them evenly, half over the bit patterns."""
        rng = np.random.default_rng(14)
        ends = np.array([self.low, self.high], np.float32).view(np.int32).astype(np.int64)
        # Ordered as the numbers are: of negative ones the patterns run the other way.
        first, last = np.where(ends < 0, -(ends & 0x7FFFFFFF), ends)
        drawn = rng.integers(first, last, count - count // 2, endpoint=True)
        patterns = np.where(drawn < 0, -drawn + 2**31, drawn).astype(np.uint32)
        even = rng.uniform(self.low, self.high, count // 2).astype(np.float32)
        return np.concatenate([even, patterns.view(np.float32)])

    def error(self, count: int) -> float:
        """Of FLOAT32, on `count` points."""
        x = self.points(count)
        parts = (x[i : i + _CHUNK] for i in range(0, count, _CHUNK))
        return max(
            ulps(compute(self.function, part), self.real(part.astype(np.float64))) for part in parts
        )

    def half_error(self) -> float:
        """Of FLOAT16, on all numbers whose result is one."""
        x = np.arange(2**16, dtype=np.uint16).view(np.float16)
        with np.errstate(all="ignore"):
            real = self.real(x.astype(np.float64))
            kept = np.isfinite(real) & (np.abs(real) < 65504)
            return ulps(compute(self.function, x)[kept], real[kept])


CASES = (
    Case(exp, np.exp, -104.0, 88.7, 1.0, 0.501),
    Case(log, np.log, 2.0**-126, 3.4e38, 0.83, 0.501),
    Case(tanh, np.tanh, -10.0, 10.0, 2.0, 0.501),
    Case(sigmoid, _sigmoid, -80.0, 80.0, 2.5, 0.501),
    Case(quarter_sine, lambda x: np.sin(np.pi / 2 * x), -1.0, 1.0, 3.5, None),
)


def main() -> None:
    """Print the table of docs/numeric-contract.md."""
    print(f"{'function':14} FLOAT32, {ALL_POINTS:,} points   FLOAT16, all")
    for case in CASES:
        half = "" if case.half_bound is None else f"{case.half_error():.4f}"
        print(f"{case.name:14} {case.error(ALL_POINTS):26.4f}   {half:>12}", flush=True)


if __name__ == "__main__":
    main()
