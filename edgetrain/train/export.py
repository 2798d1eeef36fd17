"""A trained Brevitas network as a QONNX file: self-contained, and the same bytes every time."""

import contextlib
import io
import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn

from edgetrain.files import write_file
from edgetrain.train.quantisers import export_qonnx

IR_VERSION = 10
QONNX_DOMAIN = "qonnx.custom_op.general"


def to_qonnx(network: nn.Sequential, inputs: int) -> onnx.ModelProto:
    """`network` in eval mode, batch 1, on `inputs` binary inputs.

    Brevitas' exporter leaves stack traces with absolute paths in the metadata: all of it goes.
    """
    model = export(network, inputs)
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "edgetrain", ""
    del model.metadata_props[:]
    graph = model.graph
    graph.name, graph.doc_string = "mlp", ""
    del graph.metadata_props[:]
    for part in (graph.node, graph.input, graph.output, graph.value_info, graph.initializer):
        for entry in part:
            del entry.metadata_props[:]
            entry.doc_string = ""
    _declare_binary_input(graph)
    onnx.checker.check_model(model)
    return model


def write_model(model: onnx.ModelProto, path: Path) -> None:
    """Writes the file whole or not at all; `InputError` where that is impossible."""
    write_file(path, bytes(model.SerializeToString(deterministic=True)))


def export(network: nn.Sequential, inputs: int) -> onnx.ModelProto:
    """As Brevitas exports `network` in eval mode, batch 1, without what it prints."""
    buffer = io.BytesIO()
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            export_qonnx(network, torch.zeros(1, inputs), export_path=buffer)
    finally:
        logger.setLevel(level)
    return onnx.load_from_string(buffer.getvalue())


def _declare_binary_input(graph: onnx.GraphProto) -> None:
    """Puts an unsigned 1-bit Quant of scale 1 behind the input: the features are 0 or 1.

    Not left to Brevitas, which exports every 1-bit quantiser as BipolarQuant, {−1, 1}.
    """
    name = graph.input[0].name
    constants = {"scale": 1.0, "zero_point": 0.0, "bit_width": 1.0}
    for node in graph.node:
        for position, value in enumerate(node.input):
            if value == name:
                node.input[position] = "features"
    names = [f"features.{constant}" for constant in constants]
    for constant, value in zip(names, constants.values(), strict=True):
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), constant))
    quant = helper.make_node(
        "Quant",
        [name, *names],
        ["features"],
        name="quantise_features",
        domain=QONNX_DOMAIN,
        signed=0,
        narrow=0,
        rounding_mode="ROUND",
    )
    shape = [dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim]
    graph.value_info.append(
        helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, shape)
    )
    graph.node.insert(0, quant)
