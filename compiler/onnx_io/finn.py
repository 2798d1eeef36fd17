"""A network as FINN takes it: integer products and MultiThresholds, streamlined, with data types.

Blott et al., "FINN-R: An End-to-End Deep-Learning Framework for Fast Exploration of Quantized
Neural Networks", 2018.  What FINN's own streamlining makes of a Brevitas export is here the graph
after this compiler's passes, so nothing is left to be moved or absorbed.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, StringStringEntryProto, TensorAnnotation, TensorProto, helper
from onnx.numpy_helper import from_array

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph, Node, Value
from edgetrain.compiler.learnable import powers_of
from edgetrain.compiler.types import Int

OPSET, QONNX_OPSET, IR_VERSION = 11, 1, 8
_DOMAIN = "qonnx.custom_op.general"


def export_finn(graph: Graph) -> bytes:
    """The file of `graph`, whose passes have run: input `x` (1, features) and output `y`, both the
    integers that the device takes and gives, as FLOAT32.

    Raises InputError where it has anything else than layers and thresholds.
    """
    return bytes(_Exporter(graph).model().SerializeToString(deterministic=True))


class _Exporter:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._held = dict(graph.constants) | {s.current: s.initial for s in graph.states}
        self._names: dict[Value, str] = {}
        self._tensors: list[TensorProto] = []
        self._types: dict[str, Int] = {}

    def model(self) -> ModelProto:
        (x,), (y,) = self._graph.inputs, self._graph.outputs
        for value, name in ((x, "x"), (y, "y")):
            self._name(value, name)
        nodes = [self._node(node) for node in self._graph.nodes]
        graph = helper.make_graph(
            nodes,
            "infer",
            [self._described(x)],
            [self._described(y)],
            self._tensors,
            value_info=[
                self._described(value)
                for node in self._graph.nodes
                for value in node.outputs
                if value != y
            ],
        )
        for name, kind in self._types.items():
            entry = StringStringEntryProto(key="finn_datatype", value=_datatype(kind))
            annotation = TensorAnnotation(tensor_name=name, quant_parameter_tensor_names=[entry])
            graph.quantization_annotation.append(annotation)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(_DOMAIN, QONNX_OPSET)]
        return helper.make_model(
            graph, producer_name="edgetrain", opset_imports=opsets, ir_version=IR_VERSION
        )

    def _node(self, node: Node) -> Any:
        (result,) = node.outputs
        names = [self._names[node.inputs[0]]]
        if node.op not in ("matmul", "threshold") or node.inputs[1] not in self._held:
            raise InputError(
                f"{node.op} has no place in FINN's streamlined networks",
                remedy="hand over a network of layers and thresholds that does not learn",
            )
        made = self._name(result, f"v{len(self._names)}")
        held = self._held[node.inputs[1]]
        if node.op == "matmul":
            kind = node.inputs[1].type.scalar
            if node.attributes.get("powers", False):
                held = powers_of(held)
                kind = Int(int(held.min()), int(held.max()))
            names.append(self._tensor(f"{made}_weights", held, kind))
            if len(node.inputs) > 2:
                raise InputError("a bias has no place in FINN's streamlined networks")
            return helper.make_node("MatMul", names, [made], name=f"{made}_matmul")
        before = _integer(node.inputs[0])
        steps = 2 ** _integer(result).bits - 1
        limits = Int(before.lo, before.hi + 1)
        thresholds = np.sort(np.clip(held, limits.lo, limits.hi), axis=1)
        # FINN wants a threshold for every step of the type; one beyond the range is never reached.
        missing = np.full((len(held), steps - held.shape[1]), limits.hi)
        whole = np.concatenate([thresholds, missing], axis=1)
        names.append(self._tensor(f"{made}_thresholds", whole, limits))
        return helper.make_node(
            "MultiThreshold",
            names,
            [made],
            name=f"{made}_thresholding",
            domain=_DOMAIN,
            out_dtype=_datatype(_integer(result)),
            out_scale=1.0,
            out_bias=float(node.attributes["lowest"]),
        )

    def _name(self, value: Value, name: str) -> str:
        if value not in self._names:
            self._names[value] = name
            self._types[name] = _integer(value)
        return self._names[value]

    def _tensor(self, name: str, array: NDArray[Any], kind: Any) -> str:
        held = np.asarray(array, np.float32)
        if not np.array_equal(held.astype(np.int64), np.asarray(array, np.int64)):
            raise InputError(
                f"{name} holds numbers of more than 24 bits, which FINN's files cannot"
            )
        self._tensors.append(from_array(held, name))
        self._types[name] = kind
        return name

    def _described(self, value: Value) -> Any:
        shape = [1, *value.type.shape]
        return helper.make_tensor_value_info(self._names[value], TensorProto.FLOAT, shape)


def _integer(value: Value) -> Int:
    kind = value.type.scalar
    if not isinstance(kind, Int):
        raise InputError(f"{kind.name} has no place in FINN's streamlined networks")
    return kind


def _datatype(kind: Int) -> str:
    """What FINN calls the smallest type that holds the range."""
    return "BINARY" if kind == Int(0, 1) else kind.name
