"""Runs a combinational or clocked Verilog module in Icarus Verilog on vectors."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgetrain.compiler.types import Int
from edgetrain.kernels.rtl.expressions import declaration


def evaluate(
    source: str,
    inputs: Mapping[str, tuple[Int, Sequence[int]]],
    outputs: Mapping[str, Int],
    scratch: Path,
    *,
    delay: int = 0,
) -> dict[str, list[int]]:
    """What the module `dut` of `source` gives for each vector; with `delay`, that many cycles of
    its clock `clk` after the vector was given.  Cycles with its clock enable `ce` at 0, and other
    inputs, come in between at random."""
    (count,) = {len(values) for _, values in inputs.values()}
    total = sum(kind.bits for kind, _ in inputs.values())
    lines = []
    for vector in range(count):
        packed = 0
        for kind, values in inputs.values():
            packed = packed << kind.bits | values[vector] % 2**kind.bits
        lines.append(f"{packed:x}")
    (scratch / "vectors.hex").write_text("\n".join(lines) + "\n")
    nets = [
        *(f"{declaration(kind, name)};" for name, (kind, _) in inputs.items()),
        *(f"{declaration(kind, name)};" for name, kind in outputs.items()),
    ]
    ports = [f".{name}({name})" for name in (*inputs, *outputs)]
    edge = "#1 clk = 1; #1 clk = 0;"
    clock = [
        edge,
        f"while ($random % 3 == 0) begin ce = 0; vector = ~vector; {edge} end",
        "ce = 1;",
    ]
    bench = [
        "module bench;",
        f"reg [{total - 1}:0] vectors [0:{count - 1}];",
        f"reg [{total - 1}:0] vector;",
        "reg clk, ce; integer i;",
        *nets,
        f"assign {{{', '.join(inputs)}}} = vector;",
        f"dut dut({', '.join([*ports, *(['.clk(clk), .ce(ce)'] if delay else [])])});",
        "initial begin",
        f'$readmemh("{scratch}/vectors.hex", vectors); clk = 0; ce = 1;',
        f"for (i = 0; i < {count} + {delay}; i = i + 1) begin",
        f"vector = vectors[i < {count} ? i : {count - 1}];",
        *(clock if delay else ["#1;"]),
        f"if (i >= {delay} - {int(delay > 0)} && i < {count} + {delay} - {int(delay > 0)})",
        f'$display("{" ".join(["%0d"] * len(outputs))}", {", ".join(outputs)});',
        "end",
        "end",
        "endmodule",
    ]
    (scratch / "dut.v").write_text(source)
    (scratch / "bench.v").write_text("\n".join(bench) + "\n")
    image = scratch / "bench.vvp"
    sources = [str(scratch / name) for name in ("bench.v", "dut.v")]
    command = ["iverilog", "-g2005", "-Wall", "-o", str(image), *sources]
    subprocess.run(command, check=True)
    done = subprocess.run(["vvp", "-n", image], check=True, capture_output=True, text=True)
    rows = [list(map(int, line.split())) for line in done.stdout.splitlines()]
    assert len(rows) == count, done.stdout[-1000:]
    return {name: [row[i] for row in rows] for i, name in enumerate(outputs)}
