"""Model file to `Graph`: the one way in."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph
from edgetrain.compiler.interface import InputCode, OutputCode
from edgetrain.compiler.onnx_io.artifacts import LOSS, is_training, read_training
from edgetrain.compiler.onnx_io.dequantised import DequantisedReader
from edgetrain.compiler.onnx_io.file import read_model_file
from edgetrain.compiler.onnx_io.floats import FloatReader
from edgetrain.compiler.onnx_io.quantised import QuantisedReader

_QUANTISERS = {"Quant", "IntQuant", "BipolarQuant", "QuantizeLinear", "DequantizeLinear"}


@dataclass(frozen=True)
class ImportedModel:
    """`graph` computes codes from codes; `metadata` is what the file carries for host tools.

    `loss` is that of a training graph, and only by it can the network learn.
    """

    graph: Graph
    input_code: InputCode
    output_code: OutputCode
    metadata: Mapping[str, str]
    loss: str | None = None


def import_model(path: str | Path, *, dequantise: bool = False) -> ImportedModel:
    """Read a QONNX, QDQ or float ONNX MLP, or onnxruntime's training graph of one.

    `dequantise`: a quantised model as the float network that it stands for.  Raises InputError for
    what cannot be expressed.
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
    kind = (DequantisedReader if dequantise else QuantisedReader) if quantised else FloatReader
    try:
        graph, input_code, output_code = kind(file).read()
    except InputError as error:
        if error.where:
            raise
        raise InputError(error.what, where=file.path, remedy=error.remedy) from error
    return ImportedModel(graph, input_code, output_code, file.metadata)
