"""Every primitive of integers in Verilog is what it is in Python, at the ends of its types."""

import inspect
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pytest

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.expr import Apply, Const, Expr, Local, apply, assume, lt, select
from edgetrain.compiler.primitives import PRIMITIVES
from edgetrain.compiler.types import FLOAT32, Int
from edgetrain.kernels.rtl.expressions import VerilogPrinter, declaration
from tests.compiler.scalars import PRIMITIVE_MEANINGS, corners
from tests.rtl.icarus import evaluate
from tests.support import needs_tool

TYPES = (
    *(Int(0, 1), Int(-1, 1), Int(-2, 1), Int(0, 3), Int(-5, 100), Int(3, 9), Int(-9, -3)),
    *(Int(-(2**31), 2**31 - 1), Int(0, 2**32 - 1), Int(-(2**62), 2**62 - 1), Int(0, 2**63 - 1)),
)
SECOND = {"shr": (Int(0, 62),), "shl": (Int(0, 5),), "div": (Int(1, 9),)}
AMOUNTS = tuple(Const(n, Int(n, n)) for n in (0, 1, 7, 31))
FLOATS = {name for name, primitive in PRIMITIVES.items() if primitive.verilog is None}


def module(outputs: Mapping[str, Expr], inputs: dict[str, Int]) -> str:
    """`dut`, combinational."""
    printer = VerilogPrinter({Local(name, kind): name for name, kind in inputs.items()})
    ports = [declaration(kind, name, "input wire") for name, kind in inputs.items()]
    lines = []
    for name, expr in outputs.items():
        assert isinstance(expr.type, Int)
        ports.append(declaration(expr.type, name, "output wire"))
        statements, text = printer.print(expr)
        lines += [f"{line}" for line in statements] + [f"assign {name} = {text};"]
    return "\n".join([f"module dut({', '.join(ports)});", *lines, "endmodule"])


@pytest.mark.parametrize("name", sorted(PRIMITIVES.keys() - FLOATS - {"assume"}))
def test_a_primitive(name: str, tmp_path: Path) -> None:
    needs_tool("iverilog")
    arity = len(inspect.signature(PRIMITIVES[name].rule).parameters)
    inputs: dict[str, Int] = {}
    operands: list[list[Expr]] = []
    for position in range(arity):
        kinds = [*(TYPES if arity < 3 else TYPES[:7])]
        kinds += SECOND.get(name, ()) if position == 1 else ()
        names = {f"x{position}_{i}": kind for i, kind in enumerate(kinds)}
        inputs |= names
        operands.append([Local(n, kind) for n, kind in names.items()])
        if position == 1:
            operands[1] += AMOUNTS
    outputs: dict[str, Expr] = {}
    for arguments in product(*operands):
        try:
            outputs[f"y{len(outputs)}"] = apply(name, *arguments)
        except (TypeError, InputError):
            continue
    assert outputs
    drawn = {n: corners(kind) for n, kind in inputs.items()}
    count = max(map(len, drawn.values())) + 12
    # Lengths without a common factor bring together each with each.
    vectors = {
        n: [int(drawn[n][(i * (1 + k)) % len(drawn[n])]) for i in range(count)]
        for k, n in enumerate(inputs)
    }
    found = evaluate(
        module(outputs, inputs),
        {n: (kind, vectors[n]) for n, kind in inputs.items()},
        {n: e.type for n, e in outputs.items() if isinstance(e.type, Int)},
        tmp_path,
    )
    for output, expr in outputs.items():
        assert isinstance(expr, Apply)
        for i in range(count):
            values = [_value(a, vectors, i) for a in expr.args]
            assert found[output][i] == PRIMITIVE_MEANINGS[name](*values), (expr, values)


def _value(expr: Expr, vectors: Mapping[str, list[int]], i: int) -> int:
    return int(expr.value) if isinstance(expr, Const) else vectors[expr.name][i]  # type: ignore[union-attr]


def test_a_tree_of_shared_nodes(tmp_path: Path) -> None:
    needs_tool("iverilog")
    x = Local("x", Int(-8, 7))
    square = apply("mul", x, x)
    small = assume(apply("min", square, 20), Int(0, 20))
    y = select(lt(square, 10), apply("sub", small, x), apply("popcount", small))
    assert isinstance(y.type, Int)
    found = evaluate(
        module({"y": y}, {"x": Int(-8, 7)}),
        {"x": (Int(-8, 7), range(-8, 8))},
        {"y": y.type},
        tmp_path,
    )
    expected = [
        min(v * v, 20) - v if v * v < 10 else min(v * v, 20).bit_count() for v in range(-8, 8)
    ]
    assert found["y"] == expected


@pytest.mark.parametrize("name", sorted(FLOATS))
def test_floats_are_refused(name: str) -> None:
    arity = len(inspect.signature(PRIMITIVES[name].rule).parameters)
    for kind in (FLOAT32, Int(0, 3)):
        try:
            expr = apply(name, *[Local("x", kind)] * arity)
        except TypeError:
            continue
        with pytest.raises(InputError, match="has no RTL"):
            VerilogPrinter({Local("x", kind): "x"}).print(expr)
