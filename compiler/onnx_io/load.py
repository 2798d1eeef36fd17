"""Model file to `Graph`: the one way in."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph
from edgetrain.compiler.interface import InputCode, OutputCode
from edgetrain.compiler.learnable import Quantisation
from edgetrain.compiler.onnx_io.artifacts import LOSS, is_training, read_training
from edgetrain.compiler.onnx_io.dequantised import DequantisedReader
from edgetrain.compiler.onnx_io.file import read_model_file
from edgetrain.compiler.onnx_io.floats import FloatReader
from edgetrain.compiler.onnx_io.learnable import LearnableReader
from edgetrain.compiler.onnx_io.quantised import QuantisedReader
from edgetrain.compiler.types import Int

_QUANTISERS = {"Quant", "IntQuant", "BipolarQuant", "QuantizeLinear", "DequantizeLinear"}


@dataclass(frozen=True)
class ImportedModel:
    """`graph` computes codes from codes; `metadata` is what the file carries for host tools.

    `loss` is that of a training graph, and only by it can the network learn.  `quantisation`: how
    the constants of a quantised graph can learn.  `precision`: the bits of the first layer's
    weights and results, as w2a2, where the graph is one of integers.
    """

    graph: Graph
    input_code: InputCode
    output_code: OutputCode
    metadata: Mapping[str, str]
    loss: str | None = None
    quantisation: Quantisation | None = None
    precision: str | None = None


def import_model(
    path: str | Path,
    *,
    dequantise: bool = False,
    learnable: bool = False,
    powers: bool = False,
    scales: bool = False,
) -> ImportedModel:
    """Read a QONNX, QDQ or float ONNX MLP, or onnxruntime's training graph of one.

    `dequantise`: a quantised model as the float network that it stands for.  `learnable`: a
    quantised model with its gains and biases beside its weights, and with `scales` with the steps
    of weights as gains.  `powers`: its weights rounded to 0 and powers of two.  Raises InputError
    for what cannot be expressed.
    """
    file = read_model_file(path)
    quantised = bool(file.annotation) or any(n.op in _QUANTISERS for n in file.nodes)
    if dequantise and not quantised:
        raise InputError(
            "the model is not quantised", where=file.path, remedy="leave out --dequantise"
        )
    if is_training(file):
        return ImportedModel(*read_training(file), file.metadata, LOSS)
    file.check_network()
    reader: DequantisedReader | QuantisedReader | FloatReader = FloatReader(file)
    if quantised:
        reader = QuantisedReader(file, powers=powers)
        if learnable:
            reader = LearnableReader(file, powers=powers, scales=scales)
        if dequantise:
            reader = DequantisedReader(file)
    try:
        graph, input_code, output_code = reader.read()
    except InputError as error:
        if error.where:
            raise
        raise InputError(error.what, where=file.path, remedy=error.remedy) from error
    quantisation = reader.quantisation if isinstance(reader, LearnableReader) else None
    metadata = file.metadata
    precision = _precision(graph) if isinstance(reader, QuantisedReader) else None
    return ImportedModel(
        graph, input_code, output_code, metadata, quantisation=quantisation, precision=precision
    )


def _precision(graph: Graph) -> str:
    layer = next((node for node in graph.nodes if node.op == "matmul"), None)
    if layer is None:
        return "w1a1"
    ends = [node for node in graph.nodes if node.op in ("threshold", "requantise")]
    values = (layer.inputs[1], ends[0].outputs[0] if ends else layer.inputs[0])
    weights, results = (value.type.scalar for value in values)
    assert isinstance(weights, Int)
    assert isinstance(results, Int)
    return f"w{weights.bits}a{results.bits}"
