"""What each operator may look like, checked before any handler reads a node."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np

from edgetrain.compiler.onnx_io.file import FileNode, label

STANDARD = ("", "ai.onnx")
MICROSOFT = ("com.microsoft",)
"""Where onnxruntime keeps the operators of its training graphs."""
QONNX = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
"""The names under which the Quant operators have been exported."""

_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list of whole numbers",
    np.ndarray: "a tensor",
}


@dataclass(frozen=True, slots=True)
class Signature:
    """The first `inputs` operands must be there, up to `most` may be; likewise the attributes that
    are named in `required`, each of its type."""

    inputs: int
    most: int
    attributes: Mapping[str, type] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    outputs: int = 1
    domains: tuple[str, ...] = STANDARD


_QUANT = Signature(
    4,
    4,
    {"signed": int, "narrow": int, "rounding_mode": str},
    # Writers differ in what they mean by leaving these out.
    required=("signed", "narrow"),
    domains=QONNX,
)
_SCALED = {"axis": int, "block_size": int, "saturate": int}
_BINARY = Signature(2, 2)

SIGNATURES: dict[str, Signature] = {
    "Quant": _QUANT,
    "IntQuant": _QUANT,
    "BipolarQuant": Signature(2, 2, domains=QONNX),
    "MultiThreshold": Signature(
        2,
        2,
        {"out_dtype": str, "out_scale": float, "out_bias": float, "data_layout": str},
        domains=QONNX,
    ),
    "QuantizeLinear": Signature(2, 3, _SCALED),
    "DequantizeLinear": Signature(2, 3, _SCALED),
    "MatMul": _BINARY,
    "Gemm": Signature(2, 3, {"alpha": float, "beta": float, "transA": int, "transB": int}),
    "Add": _BINARY,
    "Sub": _BINARY,
    "Mul": _BINARY,
    "Div": _BINARY,
    "BatchNormalization": Signature(
        5, 5, {"epsilon": float, "momentum": float, "training_mode": int}
    ),
    "Relu": Signature(1, 1),
    "LeakyRelu": Signature(1, 1, {"alpha": float}),
    "Sigmoid": Signature(1, 1),
    "Tanh": Signature(1, 1),
    "Clip": Signature(1, 3),
    "Transpose": Signature(1, 1, {"perm": list}),
    "ArgMax": Signature(1, 1, {"axis": int, "keepdims": int, "select_last_index": int}),
    "Identity": Signature(1, 1),
    "Dropout": Signature(1, 3, {"ratio": float, "seed": int}, outputs=2),
    "Flatten": Signature(1, 1, {"axis": int}),
    "Reshape": Signature(2, 2, {"allowzero": int}),
    "Cast": Signature(1, 1, {"to": int, "saturate": int}),
    "ReduceSum": Signature(1, 2, {"keepdims": int, "noop_with_empty_axes": int}),
    "SoftmaxCrossEntropyLoss": Signature(2, 2, {"reduction": str, "ignore_index": int}, outputs=2),
    "SoftmaxCrossEntropyLossGrad": Signature(
        3, 3, {"reduction": str, "ignore_index": int}, domains=MICROSOFT
    ),
    "ReluGrad": Signature(2, 2, domains=MICROSOFT),
    "SigmoidGrad": Signature(2, 2, domains=MICROSOFT),
    "TanhGrad": Signature(2, 2, domains=MICROSOFT),
    "InPlaceAccumulatorV2": Signature(3, 3, domains=MICROSOFT),
    "Constant": Signature(0, 0, {"value": np.ndarray, "value_float": float}),
}


def check_signature(node: FileNode) -> None:
    """Raise InputError unless `node`, of a known operator, has the form that its handler reads."""
    signature = SIGNATURES[node.op]
    if node.domain not in signature.domains:
        names = " or ".join(domain or "the standard one" for domain in signature.domains)
        raise node.refuse(f"is of the domain {label(node.domain)}", f"use {names}")
    given = len(node.inputs)
    if given > signature.most:
        raise node.refuse(f"has {given} inputs", f"give at most {signature.most}")
    if given < signature.inputs or not all(node.inputs[: signature.inputs]):
        raise node.refuse("lacks an input", f"give at least {signature.inputs}")
    if len(node.outputs) > signature.outputs:
        raise node.refuse(f"has {len(node.outputs)} outputs", f"give {signature.outputs}")
    for name in signature.required:
        if name not in node.attributes:
            raise node.refuse(f"lacks {name}", "export it with every attribute")
    for name, value in node.attributes.items():
        _check_attribute(node, name, value, signature.attributes.get(name))


def _check_attribute(node: FileNode, name: str, value: Any, kind: type | None) -> None:
    if kind is None:
        raise node.refuse(f"has the unknown attribute {label(name)}", "leave it out")
    words = _WORDS[kind]
    fits = isinstance(value, kind)
    if kind is list and fits:
        fits = all(isinstance(element, int) for element in value)
    if not fits:
        raise node.refuse(f"its {name} is not {words}", f"give {words}")
    if kind is float and not isfinite(value):
        raise node.refuse(f"its {name} is not finite", "check the training")
