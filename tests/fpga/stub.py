"""A circuit with state, written by hand: what stands around engines can be tested without any."""

from dataclasses import replace

import numpy as np

from edgetrain.compiler.graph import GraphBuilder
from edgetrain.compiler.types import Int, TensorType
from edgetrain.fpga.hardware import FOLDED, Hardware
from edgetrain.kernels.rtl.engine import PORTS, Engine, Ports, Tensor, stream
from edgetrain.pipeline import Program, runnable
from tests.c.harness import make_program

NIBBLE, TABLE = Int(-8, 7), Int(-(2**40), 2**40)


def program() -> Program:
    """infer: y = x + last; then last is x.  `table` is there to be read and written alone."""
    b = GraphBuilder("infer")
    x = b.input("x", TensorType((3,), NIBBLE))
    last = b.state("last", np.array([1, -2, 3], np.int8), NIBBLE)
    table = np.arange(10).reshape(2, 5) * 10**11 - 5 * 10**11
    b.state("table", table.astype(np.int64), TABLE)
    b.output("y", b.apply("add", x, last))
    b.update(last, x)
    return replace(runnable(make_program([b.build()])), target="zcu104")


def hardware(of: Program) -> Hardware:
    entry = of.entries[0]
    inputs, outputs = ((stream(of.buffers[name], 2),) for (name,) in (entry.inputs, entry.outputs))
    tensors = (
        Tensor("last", (3,), 4, True, lanes=1, stride=3),
        Tensor("table", (2, 5), TABLE.bits, True, lanes=2, stride=4),
    )
    ports = (Ports("infer", inputs, outputs, cycles=3, interval=4),)
    return Hardware(FOLDED, Engine(_TEXT, ports, tensors, 8, 16))


_TEXT = (
    "module et_engine(\n"
    + PORTS.format(s=7, m=15)
    + f""");
reg [3:0] last [0:2];
reg [{TABLE.bits - 1}:0] table_low [0:7], table_high [0:7];
reg [11:0] x;
reg [14:0] y;
reg [1:0] beat;
wire giving = beat[1];
assign s_ready = ~giving;
assign m_valid = giving;
assign m_last = beat == 2'd3;
assign m_data = m_last ? {{11'd0, y[14:10]}} : {{6'd0, y[9:0]}};
assign busy = beat != 2'd0;
wire [2:0] word = state_address[10:8];
wire lane = state_address[0];
wire [3:0] nibble = last[word[1:0]];
wire [{TABLE.bits - 1}:0] entry_of = lane ? table_high[word] : table_low[word];
assign state_out = state_tensor == 8'd0 ? {{60'd0, nibble}} : {{{64 - TABLE.bits}'d0, entry_of}};
wire unused = &{{1'b0, entry, state_address, state_in}};
function [4:0] sum(input [3:0] a, input [3:0] b);
    sum = {{a[3], a}} + {{b[3], b}};
endfunction
always @(posedge clk) begin
    if (rst) beat <= 2'd0;
    else if (giving ? m_ready : s_valid) beat <= beat + 2'd1;
    if (s_valid & s_ready) begin
        if (beat == 2'd0) x[7:0] <= s_data;
        else begin
            x[11:8] <= s_data[3:0];
            y <= {{sum(s_data[3:0], last[2]), sum(x[7:4], last[1]), sum(x[3:0], last[0])}};
            last[0] <= x[3:0];
            last[1] <= x[7:4];
            last[2] <= s_data[3:0];
        end
    end
    if (state_write) begin
        if (state_tensor == 8'd0) last[word[1:0]] <= state_in[3:0];
        else if (lane) table_high[word] <= state_in[{TABLE.bits - 1}:0];
        else table_low[word] <= state_in[{TABLE.bits - 1}:0];
    end
end
endmodule
"""
)
