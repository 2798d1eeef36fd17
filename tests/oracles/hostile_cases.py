"""The table of hostile edits of a sound model; see `tests.oracles.hostile`."""

from itertools import pairwise

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.oracles.hostile_edits import (
    Edit,
    attribute,
    edit_tensor,
    external,
    input_type,
    inputs,
    insert,
    local_function,
    nested,
    node,
    operator,
    put,
    subgraph_operator,
    tensor,
)

FLOAT = TensorProto.FLOAT
WEIGHT = "first.weight"
NAN, INF = float("nan"), float("inf")


def dims(name: str, sizes: list[int]) -> Edit:
    def edit(model: onnx.ModelProto) -> None:
        tensor(model, name).dims[:] = sizes

    return edit


def empty_with_dims(sizes: list[int]) -> Edit:
    """Dimensions that promise data which the file does not hold."""

    def edit(model: onnx.ModelProto) -> None:
        target = tensor(model, WEIGHT)
        target.dims[:] = sizes
        target.ClearField("raw_data")

    return edit


def remove_initialiser(model: onnx.ModelProto) -> None:
    model.graph.initializer.remove(tensor(model, WEIGHT))


def duplicate_initialiser(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(tensor(model, WEIGHT))


def sparse_initialiser(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add().values.CopyFrom(tensor(model, WEIGHT))


def second_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("other", FLOAT, [1, 3]))


def second_output(model: onnx.ModelProto) -> None:
    model.graph.output.append(helper.make_tensor_value_info("relu.out", FLOAT, [1, 2]))


def output_named(name: str) -> Edit:
    def edit(model: onnx.ModelProto) -> None:
        model.graph.output[0].name = name

    return edit


def opsets(*versions: tuple[str, int]) -> Edit:
    def edit(model: onnx.ModelProto) -> None:
        del model.opset_import[:]
        model.opset_import.extend([helper.make_opsetid(*version) for version in versions])

    return edit


def sequence_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].CopyFrom(helper.make_tensor_sequence_value_info("input", FLOAT, [1, 3]))


def only_nodes(count: int) -> Edit:
    def edit(model: onnx.ModelProto) -> None:
        del model.graph.node[count:]

    return edit


def identities(count: int) -> Edit:
    """A chain of that many operators that do nothing, instead of the Relu."""

    def edit(model: onnx.ModelProto) -> None:
        at = [n.op_type for n in model.graph.node].index("Relu")
        names = ["bn.out", *(f"i{k}" for k in range(count - 1)), "relu.out"]
        chain = [helper.make_node("Identity", [a], [b]) for a, b in pairwise(names)]
        kept = list(model.graph.node)
        del model.graph.node[:]
        model.graph.node.extend([*kept[:at], *chain, *kept[at + 1 :]])

    return edit


def reversed_nodes(model: onnx.ModelProto) -> None:
    kept = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(reversed(kept))


def output_count(op: str, names: list[str]) -> Edit:
    def edit(model: onnx.ModelProto) -> None:
        node(model, op).output[:] = names

    return edit


def attribute_reference(model: onnx.ModelProto) -> None:
    node(model, "Gemm").attribute.add(
        name="alpha", ref_attr_name="outer", type=onnx.AttributeProto.FLOAT
    )


def repeated_attribute(model: onnx.ModelProto) -> None:
    node(model, "Gemm").attribute.append(helper.make_attribute("transB", 0))


STRUCTURE: dict[str, Edit] = {
    "no graph": lambda m: m.ClearField("graph"),
    "no nodes": only_nodes(0),
    "nodes missing at the end": only_nodes(3),
    "no input": lambda m: m.graph.ClearField("input"),
    "no output": lambda m: m.graph.ClearField("output"),
    "two inputs": second_input,
    "two outputs": second_output,
    "output that nothing makes": output_named("nowhere"),
    "output is the input": output_named("input"),
    "output is an initialiser": output_named(WEIGHT),
    "cycle of two nodes": inputs(
        "BatchNormalization", ["relu.out", *[f"bn.{p}" for p in ("gamma", "beta", "mean", "var")]]
    ),
    "cycle of one node": inputs("Relu", ["relu.out"]),
    "undefined tensor": inputs("Relu", ["nowhere"]),
    "missing initialiser": remove_initialiser,
    "duplicate initialiser": duplicate_initialiser,
    "tensor written twice": insert("Relu", ["bn.out"], "relu.out"),
    "initialiser written": insert("Relu", ["bn.out"], WEIGHT),
    "input written": insert("Relu", ["bn.out"], "input"),
    "sparse initialiser": sparse_initialiser,
    "node without inputs": inputs("Relu", []),
    "node with an empty input": inputs("Relu", [""]),
    "node without outputs": output_count("Relu", []),
    "node with two outputs": output_count("Relu", ["relu.out", "more"]),
    "If": subgraph_operator("If"),
    "Loop": subgraph_operator("Loop"),
    "deep subgraphs": nested(20),
    "local function": local_function,
    "unknown operator": operator("Frobnicate"),
    "unsupported operator": operator("LSTM"),
    "unknown domain": operator("Relu", "com.evil"),
    "operator without a name": lambda m: node(m, "Relu").ClearField("op_type"),
    "opset 9999": opsets(("", 9999), ("qonnx.custom_op.general", 2)),
    "opset -1": opsets(("", -1), ("qonnx.custom_op.general", 2)),
    "no opset": opsets(),
    "IR version 9999": lambda m: setattr(m, "ir_version", 9999),
}

TYPES_AND_SHAPES: dict[str, Edit] = {
    "int64 input": input_type(TensorProto.INT64, [1, 3]),
    "string input": input_type(TensorProto.STRING, [1, 3]),
    "sequence input": sequence_input,
    "input without a type": lambda m: m.graph.input[0].ClearField("type"),
    "input without a shape": input_type(FLOAT, None),
    "input of no features": input_type(FLOAT, [1, 0]),
    "input of -3 features": input_type(FLOAT, [1, -3]),
    "input of 2**62 features": input_type(FLOAT, [1, 2**62]),
    "input of unnamed width": input_type(FLOAT, [1, "width"]),
    "input too narrow for the weight": input_type(FLOAT, [1, 2]),
    "input of rank 1": input_type(FLOAT, [3]),
    "input of rank 0": input_type(FLOAT, []),
    "string weight": edit_tensor(WEIGHT, lambda t: setattr(t, "data_type", TensorProto.STRING)),
    "complex weight": put(WEIGHT, np.ones((2, 3)), np.complex64),
    "bool weight": put(WEIGHT, np.ones((2, 3)), np.bool_),
    "int64 weight": put(WEIGHT, np.ones((2, 3)), np.int64),
    "float64 weight of bfloat16 type": edit_tensor(
        WEIGHT, lambda t: setattr(t, "data_type", TensorProto.BFLOAT16)
    ),
    "weight of undefined type": edit_tensor(WEIGHT, lambda t: setattr(t, "data_type", 0)),
    "weight of type 999": edit_tensor(WEIGHT, lambda t: setattr(t, "data_type", 999)),
    "weight of rank 1": put(WEIGHT, np.ones(6)),
    "weight of rank 3": put(WEIGHT, np.ones((2, 3, 1))),
    "weight of rank 100": dims(WEIGHT, [1] * 98 + [2, 3]),
    "weight of other inputs": put(WEIGHT, np.ones((2, 4))),
    "weight of no outputs": put(WEIGHT, np.ones((0, 3))),
    "bias too long": put("first.bias", np.ones(3)),
    "bias of rank 3": put("first.bias", np.ones((2, 1, 2))),
    "batch norm of other channels": put("bn.gamma", np.ones(3)),
    "batch norm of three inputs": inputs(
        "BatchNormalization", ["first.out", "bn.gamma", "bn.beta"]
    ),
    "Gemm of one input": inputs("Gemm", ["in.out"]),
    "Gemm of four inputs": inputs("Gemm", ["in.out", "first.quant.out", "first.bias", "bn.gamma"]),
    "Gemm of the input by itself": inputs("Gemm", ["in.out", "in.out"]),
    "Gemm that turns its input": attribute("Gemm", "transA", 1),
    "Quant of three inputs": inputs("Quant", ["input", "in.scale", "in.zero"]),
    "Quant whose scale is live": inputs("Quant", ["input", "input", "in.zero", "in.bits"]),
    "raw data too short": edit_tensor(WEIGHT, lambda t: setattr(t, "raw_data", t.raw_data[:-4])),
    "raw data too long": edit_tensor(
        WEIGHT, lambda t: setattr(t, "raw_data", t.raw_data + b"abcd")
    ),
    "raw data of half an element": edit_tensor(
        WEIGHT, lambda t: setattr(t, "raw_data", t.raw_data[:-1])
    ),
    "no data": empty_with_dims([2, 3]),
    "huge dims": empty_with_dims([2**31, 2**31]),
    "dims whose product wraps to six": empty_with_dims([2**33, 2**31, 6]),
    "negative dims": dims(WEIGHT, [-2, -3]),
    "external data": external("weights.bin"),
    "external data above": external("../../../../etc/passwd"),
    "external data absolute": external("/etc/passwd"),
    "external data from a device": external("/dev/zero"),
}

NUMBERS: dict[str, Edit] = {
    **{
        f"{what} {name}": put(tensor_name, value)
        for what, tensor_name in (
            ("input scale", "in.scale"),
            ("weight scale", "first.quant.scale"),
            ("activation scale", "act.scale"),
        )
        for name, value in {"0": 0, "NaN": NAN, "infinite": INF, "negative": -0.5}.items()
    },
    **{
        f"{what} bits {value}": put(tensor_name, value)
        for what, tensor_name in (("input", "in.bits"), ("weight", "first.quant.bits"))
        for value in (0, -1, 33, 2.5, NAN, INF, 1e9, 3e38)
    },
    "bits for each channel": put("first.quant.bits", [2, 3]),
    "scale for each input": put("first.quant.scale", np.ones((1, 4))),
    "scale of no elements": put("first.quant.scale", np.ones(0)),
    "scale for each of the wrong channels": put("first.quant.scale", np.ones((5, 1))),
    "zero point NaN": put("in.zero", NAN),
    "zero point infinite": put("act.zero", INF),
    "unknown rounding": attribute("Quant", "rounding_mode", "STOCHASTIC"),
    "rounding that is no text": attribute("Quant", "rounding_mode", b"\xff\xfe\x00"),
    "rounding that is a number": attribute("Quant", "rounding_mode", 3),
    "signed that is a text": attribute("Quant", "signed", "yes"),
    "alpha that is a text": attribute("Gemm", "alpha", "1.0"),
    "alpha NaN": attribute("Gemm", "alpha", NAN),
    "beta infinite": attribute("Gemm", "beta", INF),
    "alpha from a function's argument": attribute_reference,
    "weight NaN": put(WEIGHT, np.full((2, 3), NAN)),
    "weight infinite": put(WEIGHT, np.full((2, 3), INF)),
    "bias NaN": put("first.bias", [NAN, 0]),
    "bias infinite": put("second.bias", [INF, -INF]),
    "variance NaN": put("bn.var", [NAN, 1]),
    "variance negative": put("bn.var", [-1, 1]),
    "gamma infinite": put("bn.gamma", [INF, 1]),
    "mean NaN": put("bn.mean", [NAN, 1]),
    "epsilon negative": attribute("BatchNormalization", "epsilon", -2.0),
    "epsilon NaN": attribute("BatchNormalization", "epsilon", NAN),
    "epsilon that is a list": attribute("BatchNormalization", "epsilon", [1, 2]),
    "batch norm in training": attribute("BatchNormalization", "training_mode", 1),
}

REFUSED = {**STRUCTURE, **TYPES_AND_SHAPES, **NUMBERS}

REFUSED_QDQ: dict[str, Edit] = {
    "QDQ scale 0": put("scale", 0),
    "QDQ scale NaN": put("w.scale", [NAN, 1]),
    "QDQ scale negative": put("w.scale", [-1, 1]),
    "QDQ scales of other channels": put("w.scale", np.ones(5)),
    "QDQ zero point float": put("zero", 3, np.float32),
    "QDQ zero point of another type": put("w.zero", [0, 0], np.uint8),
    "QDQ zero points of other channels": put("w.zero", np.zeros(5), np.int8),
    "QDQ axis 99": attribute("DequantizeLinear", "axis", 99),
    "QDQ axis -99": attribute("DequantizeLinear", "axis", -99),
    "QDQ weight float": put("w", np.ones((3, 2))),
    "QDQ weight int64": put("w", np.ones((3, 2)), np.int64),
    "QDQ block size": attribute("DequantizeLinear", "block_size", 7),
    "QDQ dequantised before it is quantised": inputs("QuantizeLinear", ["x.out", "scale", "zero"]),
}

EITHER: dict[str, Edit] = {
    "nodes in reverse": reversed_nodes,
    "20,000 identities": identities(20_000),
    "500 identities": identities(500),
    "float16 weight": put(WEIGHT, np.ones((2, 3)), np.float16),
    "float64 weight": put(WEIGHT, np.ones((2, 3)), np.float64),
    "subnormal scale": put("in.scale", 1e-45),
    "scale at the top": put("in.scale", 3.4e38),
    "weights at the top": put(WEIGHT, np.full((2, 3), 3.4e38)),
    "gamma subnormal": put("bn.gamma", [1e-45, 1e-45]),
    "variance 0 and epsilon 0": attribute("BatchNormalization", "epsilon", 0.0),
    "zero point 0.5": put("in.zero", 0.5),
    "zero point 1e30": put("act.zero", 1e30),
    "zero point outside": put("act.zero", 100),
    "signed 2": attribute("Quant", "signed", 2),
    "transB 7": attribute("Gemm", "transB", 7),
    "repeated attribute": repeated_attribute,
    "unknown attribute": attribute("Relu", "slope", 3.0),
    "input of rank 3": input_type(FLOAT, [1, 3, 1]),
    "output shape that lies": lambda m: m.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("second.out", FLOAT, [1, 77])
    ),
    "unused nodes": insert("Relu", ["bn.out"], "unused"),
    "unused unknown node": insert("Frobnicate", ["bn.out"], "unused"),
    "two opsets of one domain": opsets(("", 20), ("", 13), ("qonnx.custom_op.general", 2)),
    "no Quant opset": opsets(("", 20)),
    "opset 1": opsets(("", 1), ("qonnx.custom_op.general", 2)),
}
