"""Brevitas' layers and quantisers, imported without what it says of packages that it would like."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import brevitas.nn as qnn
    from brevitas.export import export_qonnx
    from brevitas.inject.enum import StatsOp
    from brevitas.quant import Int8WeightPerTensorFloat, Uint8ActPerTensorFloat

__all__ = ["Int8WeightPerTensorFloat", "StatsOp", "Uint8ActPerTensorFloat", "export_qonnx", "qnn"]
