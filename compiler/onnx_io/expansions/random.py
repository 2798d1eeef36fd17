"""Random numbers."""

from edgetrain.compiler.onnx_io.expansions.registry import INEXPRESSIBLE

INEXPRESSIBLE["round_stochastic"] = "no standard operator reads the bits of a float"
