"""Yosys' netlists compute what the simulator does, and its cells are counted."""

import importlib.metadata
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.folding import Folding
from edgetrain.compiler.graph import GraphBuilder, Value
from edgetrain.compiler.program import Program
from edgetrain.compiler.rules import Learning
from edgetrain.compiler.types import Int, TensorType
from edgetrain.fpga.search import NO_BLOCKS
from edgetrain.fpga.synthesis import Resources, cell_models, synthesise
from edgetrain.kernels.rtl.folded import print_folded
from edgetrain.kernels.rtl.unrolled import print_core
from edgetrain.networks import reference_network
from edgetrain.pipeline import compile_model
from tests.c.harness import make_program
from tests.rtl.engines import assert_equal as assert_engine_equal
from tests.rtl.test_engine import CALLS
from tests.rtl.test_unrolled import CYCLES, assert_equal
from tests.support import absent, needs_tool


@pytest.fixture(autouse=True)
def _yosys() -> None:
    try:
        cell_models()
    except InputError as error:
        absent(str(error))


def network(sizes: tuple[int, ...], bits: int, half: int, seed: int) -> Program:
    """Layers with three thresholds between them, weights in ±half, inputs of so many bits."""
    rng = np.random.default_rng([seed, 8])
    b = GraphBuilder("infer")
    h: Value = b.input("x", TensorType((sizes[0],), Int(0, 2**bits - 1)))
    for layer, shape in enumerate(pairwise(sizes)):
        weights = rng.integers(-half, half, shape, np.int8, endpoint=True)
        h = b.apply("matmul", h, b.constant(weights, Int(-half, half)))
        if layer < len(sizes) - 2:
            steps = np.sort(rng.integers(-half * 2**bits, half * 2**bits, (shape[1], 3)), axis=1)
            limits = b.constant(steps.astype(np.int32), Int(-(2**31), 2**31 - 1))
            h = b.apply("threshold", h, limits)
    b.output("y", h)
    return make_program([b.build()])


def powers_of_two(scratch: Path) -> Program:
    """A network whose weights are 0 and powers of two."""
    model = reference_network("mlp-6-5-3-pow2a2")
    assert model is not None
    onnx.save(model.model(), scratch / "powers.onnx")
    return compile_model(scratch / "powers.onnx", "zcu104", how=Learning(precision="pow2"))


@pytest.mark.parametrize("name", ["ternary", "of wide inputs", "of powers of two"])
def test_a_netlist(name: str, tmp_path: Path) -> None:
    """It equals the simulator and has no multiplier."""
    needs_tool("iverilog")
    if name == "ternary":
        program = network((10, 6, 3), 2, 1, 2)
    elif name == "of wide inputs":
        program = network((6, 5, 2), 8, 1, 8)
    else:
        program = powers_of_two(tmp_path)
    core = print_core(program, program.entry("infer"), CYCLES)
    found = synthesise({"core.v": core.text}, "et_core")
    assert found.resources.dsps == found.resources.brams == found.resources.urams == 0
    assert_equal(program, tmp_path, 1, cell_models().read_text() + found.netlist)


def test_a_netlist_of_a_folded_circuit(tmp_path: Path) -> None:
    """Its memories and its sequence included, without stalls and with."""
    program = network((8, 6, 3), 2, 1, 4)
    folded = {"matmul_0": Folding(2, 4), "threshold_0": Folding(2, 3), "matmul_1": Folding(1, 3)}
    engine = print_folded(program, folded, NO_BLOCKS)
    found = synthesise({"engine.v": engine.text}, "et_engine")
    assert found.resources.dsps == found.resources.brams == 0
    netlist = replace(engine, text=cell_models().read_text() + found.netlist)
    for seed in (0, 3):
        assert_engine_equal(program, netlist, CALLS, tmp_path, seed)


CELLS = """
module cells(input clk, input [7:0] a, input [10:0] b, input write, input [15:0] m, output f, g,
    output reg [7:0] ram, output reg [17:0] block, output reg last, output [31:0] product);
assign f = ^a[5:0];
assign g = ~a[7];
reg [7:0] small [0:63];
always @(posedge clk) begin if (write) small[b[5:0]] <= a; ram <= small[b[5:0]]; end
reg [17:0] large [0:2047];
always @(posedge clk) begin block <= large[b]; if (write) large[b] <= {m, a[1:0]}; end
reg [16:0] line;
always @(posedge clk) {last, line} <= {line, a[0]};
assign product = m * m;
endmodule
"""


def test_what_is_counted() -> None:
    """An XOR of six takes one table, an inverter none, 64 × 8 bits of memory eight, 18 places of a
    shift register one; 2048 × 18 bits are one block memory."""
    found = synthesise({"cells.v": CELLS}, "cells")
    assert found.resources == Resources(
        luts=10, ffs=8, carries=0, dsps=1, brams=1.0, urams=0, inverters=1
    )
    assert found.version == f"Yosys {importlib.metadata.version('pyosys')}"


def test_what_is_no_verilog_is_refused() -> None:
    with pytest.raises(InputError, match="Yosys makes no netlist of cells"):
        synthesise({"cells.v": "module cells(;"}, "cells")
    for source, top in (("cells.v; shell true", "cells"), ("cells.v", "cells; shell true")):
        with pytest.raises(InputError, match="is no name of a"):
            synthesise({source: CELLS}, top)
