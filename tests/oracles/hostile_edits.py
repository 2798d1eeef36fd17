"""Sound models, and the edits that make them hostile."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.oracles.builder import QONNX, GraphBuilder

Edit = Callable[[onnx.ModelProto], Any]


def sound_model() -> onnx.ModelProto:
    """Three inputs, a hidden layer of two, two outputs: what every case starts from."""
    rng = np.random.default_rng(1)
    graph = GraphBuilder()

    def quant(x: str, stem: str, scale: float, bits: int, signed: int) -> str:
        values = {"scale": scale, "zero": 0, "bits": bits}
        constants = [
            graph.constant(f"{stem}.{name}", np.array(value, np.float32))
            for name, value in values.items()
        ]
        attributes = {"rounding_mode": "ROUND", "signed": signed, "narrow": 0}
        return graph.node("Quant", [x, *constants], f"{stem}.out", QONNX, **attributes)

    def gemm(x: str, stem: str, outputs: int, inputs: int) -> str:
        weight = rng.normal(size=(outputs, inputs)).astype(np.float32)
        stored = quant(graph.constant(f"{stem}.weight", weight), f"{stem}.quant", 0.5, 4, 1)
        bias = graph.constant(f"{stem}.bias", rng.normal(size=outputs).astype(np.float32))
        return graph.node("Gemm", [x, stored, bias], f"{stem}.out", transB=1)

    x = gemm(quant(graph.name("input"), "in", 0.25, 4, 1), "first", 2, 3)
    parameters = {"gamma": [1.5, -0.5], "beta": [0.1, 0.2], "mean": [0.3, -0.1], "var": [1.1, 0.7]}
    stored = [
        graph.constant(f"bn.{name}", np.array(p, np.float32)) for name, p in parameters.items()
    ]
    x = graph.node("BatchNormalization", [x, *stored], "bn.out", epsilon=1e-5)
    x = quant(graph.node("Relu", [x], "relu.out"), "act", 0.5, 2, 0)
    x = gemm(x, "second", 2, 2)
    return graph.model(("input", 3), (x, 2), batch=1, opset=20)


def sound_qdq() -> onnx.ModelProto:
    """One 8-bit layer in QDQ form."""
    graph = GraphBuilder()
    name = graph.name("input")
    scale = graph.constant("scale", np.array(0.5, np.float32))
    zero = graph.constant("zero", np.array(3, np.int8))
    weight = [
        graph.constant("w", np.array([[1, -2], [3, 4], [5, 6]], np.int8)),
        graph.constant("w.scale", np.array([0.25, 0.125], np.float32)),
        graph.constant("w.zero", np.array([0, 0], np.int8)),
    ]
    w = graph.node("DequantizeLinear", weight, "w.out", axis=1)
    q = graph.node("QuantizeLinear", [name, scale, zero], "q.out")
    x = graph.node("DequantizeLinear", [q, scale, zero], "x.out")
    return graph.model((name, 3), (graph.node("MatMul", [x, w], "y"), 2), batch=1, opset=17)


def tensor(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    found: onnx.TensorProto = next(t for t in model.graph.initializer if t.name == name)
    return found


def put(name: str, value: Any, dtype: Any = np.float32) -> Edit:
    """Replace an initialiser by `value`."""
    array = np.asarray(value, dtype)
    return lambda model: tensor(model, name).CopyFrom(numpy_helper.from_array(array, name))


def edit_tensor(name: str, change: Callable[[onnx.TensorProto], Any]) -> Edit:
    return lambda model: change(tensor(model, name))


def node(model: onnx.ModelProto, op: str) -> onnx.NodeProto:
    found: onnx.NodeProto = next(n for n in model.graph.node if n.op_type == op)
    return found


def attribute(op: str, name: str, value: Any) -> Edit:
    """Set an attribute of the first node of that operator."""

    def edit(model: onnx.ModelProto) -> None:
        target = node(model, op)
        kept = [a for a in target.attribute if a.name != name]
        del target.attribute[:]
        target.attribute.extend([*kept, helper.make_attribute(name, value)])

    return edit


def inputs(op: str, names: list[str]) -> Edit:
    """Give the first node of that operator other inputs."""

    def edit(model: onnx.ModelProto) -> None:
        node(model, op).input[:] = names

    return edit


def operator(op: str, domain: str = "") -> Edit:
    """Turn the Relu into another operator."""

    def edit(model: onnx.ModelProto) -> None:
        node(model, "Relu").MergeFrom(onnx.NodeProto(op_type=op, domain=domain))

    return edit


def insert(
    op: str, sources: list[str], target: str, where: int | None = None, **attributes: Any
) -> Edit:
    added = helper.make_node(op, sources, [target], **attributes)
    return lambda model: model.graph.node.insert(
        len(model.graph.node) if where is None else where, added
    )


def input_type(elem_type: int, shape: list[Any] | None) -> Edit:
    return lambda model: model.graph.input[0].CopyFrom(
        helper.make_tensor_value_info("input", elem_type, shape)
    )


def subgraph_operator(op: str) -> Edit:
    """An If or Loop whose body computes the hidden layer's activation."""

    def edit(model: onnx.ModelProto) -> None:
        body = helper.make_graph(
            [helper.make_node("Identity", ["bn.out"], ["body.out"])],
            "body",
            [],
            [helper.make_tensor_value_info("body.out", TensorProto.FLOAT, [1, 2])],
        )
        names = ["then_branch", "else_branch"] if op == "If" else ["body"]
        replaced = helper.make_node(op, ["bn.out"], ["relu.out"], **dict.fromkeys(names, body))
        node(model, "Relu").CopyFrom(replaced)

    return edit


def nested(depth: int) -> Edit:
    """A graph in an attribute of a node of a graph in an attribute …"""

    def edit(model: onnx.ModelProto) -> None:
        graph = helper.make_graph([], "leaf", [], [])
        for _ in range(depth):
            graph = helper.make_graph([helper.make_node("If", [], [], body=graph)], "g", [], [])
        model.graph.node.insert(0, helper.make_node("If", [], ["unused"], then_branch=graph))

    return edit


def local_function(model: onnx.ModelProto) -> None:
    body = [helper.make_node("Relu", ["a"], ["b"])]
    opset = [helper.make_opsetid("", 20)]
    model.functions.append(helper.make_function("evil", "Relu2", ["a"], ["b"], body, opset))
    operator("Relu2", "evil")(model)


def external(location: str) -> Edit:
    def edit(t: onnx.TensorProto) -> None:
        t.ClearField("raw_data")
        t.data_location = TensorProto.EXTERNAL
        t.external_data.add(key="location", value=location)

    return edit_tensor("first.weight", edit)
