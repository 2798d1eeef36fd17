"""Seeded random models: QONNX as Brevitas exports it, QDQ as onnxruntime writes it, float ONNX."""

from tests.oracles.generated import GeneratedModel, InputRange
from tests.oracles.onnx_models import random_float, random_qdq
from tests.oracles.qonnx_models import random_qonnx

__all__ = ["GeneratedModel", "InputRange", "random_float", "random_qdq", "random_qonnx"]
