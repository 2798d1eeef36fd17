"""The block with its interfaces takes and gives frames as the engine in it does."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgetrain.compiler.program import Program
from edgetrain.kernels.rtl.axi import print_top
from edgetrain.kernels.rtl.engine import PORTS, Engine
from edgetrain.kernels.rtl.folded import print_folded
from edgetrain.kernels.rtl.unrolled_engine import unrolled_engine
from tests.c.harness import make_program
from tests.rtl.engines import assert_equal
from tests.rtl.test_engine import CALLS
from tests.rtl.test_unrolled import network

SLICES = 2
"""Cycles that the registers at both ends add."""


def behind_axi(engine: Engine) -> Engine:
    """The block with `engine` in it, as an engine of the same ports."""
    top = print_top(engine, bytes(32), "0.1.0").replace("et_engine engine(", "inner engine(")
    inner = engine.text.replace("module et_engine", "module inner")
    ports = PORTS.format(s=engine.s_bits - 1, m=engine.m_bits - 1)
    shell = f"""module et_engine({ports});
edgetrain top(
    .aclk(clk), .aresetn(~rst),
    .s_axi_awaddr(7'd0), .s_axi_awprot(3'd0), .s_axi_awvalid(1'b0), .s_axi_awready(),
    .s_axi_wdata(32'd0), .s_axi_wstrb(4'd0), .s_axi_wvalid(1'b0), .s_axi_wready(),
    .s_axi_bresp(), .s_axi_bvalid(), .s_axi_bready(1'b0),
    .s_axi_araddr(7'd0), .s_axi_arprot(3'd0), .s_axi_arvalid(1'b0), .s_axi_arready(),
    .s_axi_rdata(), .s_axi_rresp(), .s_axi_rvalid(), .s_axi_rready(1'b0),
    .s_axis_tdata(s_data), .s_axis_tkeep({engine.s_bits // 8}'d0), .s_axis_tlast(1'b0),
    .s_axis_tvalid(s_valid), .s_axis_tready(s_ready), .m_axis_tdata(m_data), .m_axis_tkeep(),
    .m_axis_tlast(m_last), .m_axis_tvalid(m_valid), .m_axis_tready(m_ready));
assign busy = 1'b0;
assign state_out = 64'd0;
wire unused = &{{entry, state_tensor, state_address, state_write, state_in}};
endmodule
"""
    (entry,) = engine.entries
    later = replace(entry, cycles=entry.cycles + SLICES)
    return replace(engine, text=shell + top + inner, entries=(later,))


def program(seed: int) -> Program:
    return make_program([network(seed)])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        every = metafunc.config.getoption("--every")
        metafunc.parametrize("seed", range(100 if every else 4))


@pytest.mark.parametrize("most", [1024, 16])
def test_an_unrolled_network(seed: int, most: int, tmp_path: Path) -> None:
    """Stalls, resets in mid-frame, and without both a frame each interval."""
    found = program(seed)
    engine = unrolled_engine(found, found.entry("infer"), 7, most)
    assert_equal(found, behind_axi(engine), CALLS, tmp_path, seed)


def test_a_folded_network(seed: int, tmp_path: Path) -> None:
    found = program(seed)
    assert_equal(found, behind_axi(print_folded(found, {})), CALLS, tmp_path, seed + 1)
