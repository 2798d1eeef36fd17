"""The exact evaluator against sums written out by hand, and executors where nothing rounds."""

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from tests.oracles.builder import QONNX, GraphBuilder
from tests.oracles.exact import ExactModel, Unsupported
from tests.oracles.rational import Fraction
from tests.oracles.reals import Surd

Floats = NDArray[np.float32]


def one_layer(
    width: int, outputs: int, write: Callable[[GraphBuilder, str], str]
) -> onnx.ModelProto:
    graph = GraphBuilder()
    x = graph.name("input")
    return graph.model((x, width), (write(graph, x), outputs), batch="N", opset=20)


def constant(graph: GraphBuilder, value: Any, dtype: Any = np.float32) -> str:
    return graph.constant("c", np.asarray(value, dtype))


def quant(
    graph: GraphBuilder,
    x: str,
    scale: Any,
    zero: float = 0,
    bits: int = 4,
    signed: int = 1,
    narrow: int = 0,
    mode: str = "ROUND",
) -> str:
    inputs = [x, *(constant(graph, v) for v in (scale, zero, bits))]
    attributes = {"signed": signed, "narrow": narrow, "rounding_mode": mode}
    return graph.node("Quant", inputs, "quant", QONNX, **attributes)


def run_onnxruntime(model: onnx.ModelProto, x: Floats) -> Floats:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    output: Floats = session.run(None, {"input": x})[0]
    return output


def quarters(rows: int, width: int, seed: int = 0) -> Floats:
    """Multiples of a quarter between −4 and 4: sums and products of these are exact in float32."""
    integers = np.random.default_rng(seed).integers(-16, 17, (rows, width))
    return np.asarray(integers / 4, np.float32)


OPERATORS: dict[str, Callable[[GraphBuilder, str], str]] = {
    "Gemm": lambda g, x: g.node(
        "Gemm",
        [x, constant(g, quarters(5, 3, 1)), constant(g, quarters(1, 5, 2)[0])],
        "y",
        transB=1,
        alpha=0.5,
        beta=2.0,
    ),
    "MatMul": lambda g, x: g.node("MatMul", [x, constant(g, quarters(3, 5, 1))], "y"),
    "Add": lambda g, x: g.node("Add", [constant(g, [[1, 2, 3.5]]), x], "y"),
    "Sub": lambda g, x: g.node("Sub", [x, constant(g, [1, 2, 3.5])], "y"),
    "Sub from": lambda g, x: g.node("Sub", [constant(g, [1, 2, 3.5]), x], "y"),
    "Mul": lambda g, x: g.node("Mul", [x, constant(g, -1.5)], "y"),
    "Div": lambda g, x: g.node("Div", [x, constant(g, [2, -4, 0.5])], "y"),
    "Relu": lambda g, x: g.node("Relu", [x], "y"),
    "LeakyRelu": lambda g, x: g.node("LeakyRelu", [x], "y", alpha=0.25),
    "Clip": lambda g, x: g.node("Clip", [x, constant(g, -1.25), constant(g, 2)], "y"),
    "Clip above": lambda g, x: g.node("Clip", [x, "", constant(g, 2)], "y"),
    "Identity": lambda g, x: g.node("Identity", [x], "y"),
    "Cast": lambda g, x: g.node("Cast", [x], "y", to=onnx.TensorProto.FLOAT),
    "Flatten": lambda g, x: g.node("Flatten", [x], "y"),
    "Reshape": lambda g, x: g.node("Reshape", [x, constant(g, [-1, 3], np.int64)], "y"),
    "Transpose": lambda g, x: g.node(
        "MatMul",
        [x, g.node("Transpose", [constant(g, quarters(5, 3, 1))], "t", perm=[1, 0])],
        "y",
    ),
    "Constant": lambda g, x: g.node("Mul", [x, g.node("Constant", [], "k", value_float=-0.5)], "y"),
    "BatchNormalization": lambda g, x: g.node(  # √(variance + ε) is 2, 1 and ½
        "BatchNormalization",
        [x, *(constant(g, p) for p in ([1, -2, 0], [0.5, 0, 1], [1, 2, -1], [3.75, 0.75, 0]))],
        "y",
        epsilon=0.25,
    ),
    "QuantizeLinear": lambda g, x: g.node(
        "DequantizeLinear",
        [
            g.node("QuantizeLinear", [x, constant(g, 0.5), constant(g, -3, np.int8)], "q"),
            constant(g, 0.5),
            constant(g, -3, np.int8),
        ],
        "y",
    ),
    "QuantizeLinear per axis": lambda g, x: g.node(
        "DequantizeLinear",
        [
            g.node(
                "QuantizeLinear",
                [x, constant(g, [0.5, 0.25, 1]), constant(g, [1, 2, 255], np.uint8)],
                "q",
                axis=1,
            ),
            constant(g, [0.5, 0.25, 1]),
            constant(g, [1, 2, 255], np.uint8),
        ],
        "y",
        axis=1,
    ),
}


@pytest.mark.parametrize("write", OPERATORS.values(), ids=OPERATORS)
def test_operators_are_onnxruntimes_where_nothing_rounds(
    write: Callable[[GraphBuilder, str], str],
) -> None:
    x = quarters(200, 3)
    graph = GraphBuilder()
    output = write(graph, graph.name("input"))
    width = 5 if any(n.op_type in ("Gemm", "MatMul") for n in graph.nodes) else 3
    model = graph.model(("input", 3), (output, width), batch="N", opset=20)
    result = ExactModel(model).run(x)
    assert np.array_equal(result.output_float32, run_onnxruntime(model, x))
    assert all(
        Fraction(float(f)) == e
        for f, e in zip(result.output_float32.ravel(), result.output_exact.ravel(), strict=True)
    )


@pytest.mark.parametrize("last", [0, 1])
def test_arg_max_is_onnxruntimes_with_equal_values(last: int) -> None:
    x = quarters(300, 3).round()
    graph = GraphBuilder()
    output = graph.node("ArgMax", [graph.name("input")], "y", axis=1, select_last_index=last)
    model = graph.model(("input", 3), (output, 1), batch="N", opset=20)
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    result = ExactModel(model).run(x)
    assert np.array_equal(result.output_float32, run_onnxruntime(model, x))


MODES = ["ROUND", "HALF_EVEN", "FLOOR", "CEIL", "UP", "DOWN", "HALF_UP", "HALF_DOWN"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("bits", "signed", "narrow"), [(3, 1, 0), (3, 1, 1), (3, 0, 0), (3, 0, 1), (1, 1, 0), (1, 0, 0)]
)
@pytest.mark.parametrize("zero", [0, 2, -1])
def test_quant_is_qonnxs_where_nothing_rounds(
    mode: str, bits: int, signed: int, narrow: int, zero: int
) -> None:
    from qonnx.custom_op.general.intquant import int_quant

    x = np.arange(-40, 41, dtype=np.float32)[:, None] / 8
    model = one_layer(1, 1, lambda g, x: quant(g, x, 0.25, zero, bits, signed, narrow, mode))
    expected = int_quant(
        x, np.float32(0.25), np.float32(zero), np.float32(bits), signed, narrow, mode
    )
    result = ExactModel(model).run(x)
    assert np.array_equal(result.output_float32, expected)
    assert np.array_equal(result.quantised["quant"], expected / 0.25 + zero)


def test_onnx_rounds_before_it_adds_an_odd_zero_point_and_qonnx_after() -> None:
    x = np.array([[0.5], [1.5], [2.5]], np.float32)

    def linear(g: GraphBuilder, name: str) -> str:
        return g.node("QuantizeLinear", [name, constant(g, 1), constant(g, 1, np.int8)], "y")

    onnx_way = ExactModel(one_layer(1, 1, linear)).run(x)
    qonnx_way = ExactModel(one_layer(1, 1, lambda g, x: quant(g, x, 1, 1))).run(x)
    assert onnx_way.quantised["y"].ravel().tolist() == [1, 3, 3]
    assert qonnx_way.quantised["quant"].ravel().tolist() == [2, 2, 4]
    assert onnx_way.ties["y"] == qonnx_way.ties["quant"] == 3


def test_bipolar_takes_zero_as_one() -> None:
    def write(g: GraphBuilder, x: str) -> str:
        return g.node("BipolarQuant", [x, constant(g, 0.5)], "q", QONNX)

    result = ExactModel(one_layer(1, 1, write)).run(np.array([[-1e-45], [0], [3]], np.float32))
    assert result.quantised["q"].ravel().tolist() == [-1, 1, 1]
    assert result.output_float32.ravel().tolist() == [-0.5, 0.5, 0.5]
    assert result.ties["q"] == 1


def test_a_layer_is_the_sum_written_out() -> None:
    rng = np.random.default_rng(5)
    weight, bias = rng.normal(size=(7, 9)), rng.normal(size=7)
    scales = rng.uniform(0.05, 0.2, (7, 1))
    w, b, s = (a.astype(np.float32) for a in (weight, bias, scales))
    step = np.float32(0.3)

    def write(g: GraphBuilder, x: str) -> str:
        stored = quant(g, constant(g, w), s, 0, 5, narrow=1)
        quantised = quant(g, x, step, 3, 4, signed=0)
        return g.node("Gemm", [quantised, stored, constant(g, b)], "y", transB=1)

    x = rng.normal(0, 2, (30, 9)).astype(np.float32)
    result = ExactModel(one_layer(9, 7, write)).run(x)
    for row in range(30):
        for out in range(7):
            total = Fraction(float(b[out]))
            for k in range(9):
                q = round(Fraction(float(x[row, k])) / Fraction(float(step)) + 3)
                q = min(max(q, 0), 15)
                v = round(Fraction(float(w[out, k])) / Fraction(float(s[out, 0])))
                v = min(max(v, -15), 15)
                total += (q - 3) * Fraction(float(step)) * v * Fraction(float(s[out, 0]))
            assert result.output_exact[row, out] == total


def test_batch_norm_is_decided_by_squares() -> None:
    # With variance + ε = 2 the output is x/√2; the step is a float32 next to 1/√2, so the tie
    # x = ½ lies a hair off the boundary, where a double still sees the hair and no float32 does.
    for step in (
        np.float32(math.sqrt(0.5)),
        np.nextafter(np.float32(math.sqrt(0.5)), np.float32(1)),
    ):

        def write(g: GraphBuilder, x: str, step: np.float32 = step) -> str:
            parameters = [constant(g, [p]) for p in (1, 0, 0, 1)]
            y = g.node("BatchNormalization", [x, *parameters], "bn", epsilon=1.0)
            return quant(g, y, step)

        x = np.array([[0.5], [1.5], [2.5]], np.float32)
        result = ExactModel(one_layer(1, 1, write)).run(x)
        # x/√2 / step > x exactly when step² < ½.
        above = Fraction(float(step)) ** 2 < Fraction(1, 2)
        expected = [1, 2, 3] if above else [0, 1, 2]
        assert result.quantised["quant"].ravel().tolist() == expected
        assert result.ties["quant"] == 0


def test_an_irrational_output_is_rounded_once_and_ordered_exactly() -> None:
    def write(g: GraphBuilder, x: str) -> str:
        parameters = [constant(g, p) for p in ([1, 2], [0, 0], [0, 0], [1, 7])]
        return g.node("BatchNormalization", [x, *parameters], "bn", epsilon=1.0)

    x = np.array([[1, 1], [3, 3], [1, 0.5], [-1, -1]], np.float32)
    result = ExactModel(one_layer(2, 2, write)).run(x)  # x/√2 and 2x/√8: equal numbers
    assert isinstance(result.output_exact[0, 0], Surd)
    expected = (x[:, 0].astype(np.float64) / math.sqrt(2)).astype(np.float32)
    assert np.array_equal(result.output_float32[:, 0], expected)
    assert result.argmax.tolist() == [0, 0, 0, 0]
    assert result.output.ranks().tolist() == [[2, 2], [3, 3], [2, 1], [0, 0]]


def test_sums_beyond_doubles_and_machine_integers_are_exact() -> None:
    for magnitude in (2.0**20, 2.0**40, 2.0**100):
        weight = np.array([[magnitude, 1], [-magnitude, 2.0**-20]], np.float32)

        def write(g: GraphBuilder, x: str, weight: Floats = weight) -> str:
            return g.node("MatMul", [x, constant(g, weight)], "y")

        model = one_layer(2, 2, write)
        result = ExactModel(model).run(np.array([[1, 1], [3, 1]], np.float32))
        assert result.output_exact[0].tolist() == [0, 1 + Fraction(1, 2**20)]
        assert result.output_exact[1].tolist() == [2 * Fraction(magnitude), 3 + Fraction(1, 2**20)]


def test_given_decisions_replace_a_quantisers_own() -> None:
    def write(g: GraphBuilder, x: str) -> str:
        stored = quant(g, constant(g, [[1.0]]), 1)
        return g.node("MatMul", [quant(g, x, 0.5), stored], "y")

    model = one_layer(1, 1, write)
    x = np.array([[1.0]], np.float32)
    given = {"quant": np.array([[-3]]), "quant_1": np.array([[5]])}
    result = ExactModel(model, given=given).run(x)
    names = {**result.quantised, **ExactModel(model).constants}
    assert sorted(int(v[0, 0]) for v in names.values()) == [1, 2]  # its own are still told
    own = ExactModel(model).run(x).output_exact[0, 0]
    assert (own, result.output_exact[0, 0]) == (1, Fraction(-15, 2))


def test_what_it_cannot_judge_it_refuses() -> None:
    unsupported: list[Callable[[GraphBuilder, str], str]] = [
        lambda g, x: g.node("Sigmoid", [x], "y"),
        lambda g, x: g.node("Relu", [x], "y", "com.other"),
        lambda g, x: g.node("Add", [x, x], "y"),
        lambda g, x: g.node("Gemm", [x, x], "y"),
    ]
    for write in unsupported:
        with pytest.raises(Unsupported):
            ExactModel(one_layer(2, 2, write)).run(np.zeros((1, 2), np.float32))


def test_the_oracles_import_nothing_that_they_judge() -> None:
    modules = [path.stem for path in Path(__file__).parent.glob("*.py") if "test_" not in path.stem]
    imports = "; ".join(f"import tests.oracles.{module}" for module in sorted(modules))
    check = (
        f"{imports}; import sys; sys.exit(any(m.split('.')[0] == 'edgetrain' for m in sys.modules))"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", check], cwd=root, check=False).returncode == 0
