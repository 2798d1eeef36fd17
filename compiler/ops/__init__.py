"""One file per family of ops: the meaning of each, and examples on which it is tried."""

from edgetrain.compiler.ops import activation, arithmetic, dense, quantisation, selection
from edgetrain.compiler.ops.registry import OPS, Example, Op

__all__ = ["OPS", "Example", "Op", "activation", "arithmetic", "dense", "quantisation", "selection"]
