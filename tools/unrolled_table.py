"""Unrolled circuits beside da4ml's and beside plain Verilog, by the same Yosys.

    pip install -e '.[fpga,bench]'
    python -m tools.unrolled_table --write docs/fpga-table.md

Every circuit takes a sample each cycle and gives raw sums, in at most seven cycles.  With --plain
there is a column of Verilog's operators with a stage an op, which takes long.  da4ml is LGPL-3, and
nothing of EdgeTrain but this table uses it.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.expr import Const, Expr, Local
from edgetrain.compiler.graph import GraphBuilder, Value
from edgetrain.compiler.interface import InputCode, OutputCode
from edgetrain.compiler.kernel import Target
from edgetrain.compiler.plan import plan
from edgetrain.compiler.program import Program
from edgetrain.compiler.types import Int, TensorType
from edgetrain.compiler.unroll import element, elements, numbers, unroll
from edgetrain.fpga.synthesis import Synthesis, synthesise
from edgetrain.kernels.rtl.expressions import VerilogPrinter, declaration, integer
from edgetrain.kernels.rtl.unrolled import print_core
from tools.markdown import table

CYCLES = 7
PAGE = """# Unrolled circuits beside others

LUT / CARRY4 / flip-flops / inverters / cycles. A circuit takes a sample every cycle and gives raw
sums; none but plain Verilog has a multiplier or a block memory. Yosys {yosys}
(`synth_xilinx -family xcup -flatten`), before place and route. An inverter is a cell of its own for
Yosys; place and route merges it into a table where it can. The first two networks are the reference
workloads; each is drawn by its seed.

{table}
    pip install -e '.[fpga,bench]'
    python -m tools.unrolled_table --write docs/fpga-table.md --plain
"""
SAMPLES = 4096
"""Of which thresholds are quantiles."""


@dataclass(frozen=True)
class Network:
    """Layers of these sizes, weights of `weights` bits, and how many bits its values have."""

    sizes: tuple[int, ...]
    weights: int
    activations: int
    inputs: int
    seed: int

    def __str__(self) -> str:
        sizes = "-".join(map(str, self.sizes))
        return f"{sizes} w{self.weights}a{self.activations}, inputs {self.inputs}, seed {self.seed}"


NETWORKS = (
    # The reference workloads mlp-40-64-32-5-w2a2 and -in8.
    Network((40, 64, 32, 5), 2, 2, 2, 1),
    Network((40, 64, 32, 5), 2, 2, 8, 1),
    Network((40, 64, 32, 5), 2, 2, 2, 2),
    Network((16, 32, 16, 4), 2, 2, 4, 3),
    Network((24, 48, 3), 1, 1, 1, 4),
    Network((20, 16, 5), 4, 2, 8, 5),
    Network((12, 20, 10, 2), 8, 3, 6, 6),
)


@dataclass(frozen=True)
class Layers:
    """Integers: weights by (input, output), thresholds by (output, step), and what comes out."""

    network: Network
    weights: list[NDArray[np.int64]]
    thresholds: list[NDArray[np.int64]]
    samples: NDArray[np.int64]
    sums: NDArray[np.int64]


def drawn(network: Network) -> Layers:
    """A network by its seed; sums that are quantiles of what a channel sees, and noise, are its
    thresholds."""
    rng = np.random.default_rng(network.seed)
    h = samples = rng.integers(0, 2**network.inputs, (SAMPLES, network.sizes[0]))
    half = 2 ** (network.weights - 1) - 1
    values = list(range(-half, half + 1)) if half else [-1, 1]
    levels = 2**network.activations - 1
    quantiles = [0.5, 0.7, 0.88] if levels == 3 else list(np.linspace(0.4, 0.9, levels))
    weights, thresholds = [], []
    for layer, shape in enumerate(pairwise(network.sizes)):
        weights.append(rng.choice(values, shape, p=[1 / len(values)] * len(values)))
        sums = h @ weights[-1]
        if layer < len(network.sizes) - 2:
            noise = rng.normal(0, 0.15 * sums.std(), (shape[1], levels))
            steps = np.quantile(sums, quantiles, axis=0).T + noise
            thresholds.append(np.sort(np.round(steps), axis=1).astype(np.int64))
            h = (sums[:, :, None] >= thresholds[-1]).sum(2)
    return Layers(network, weights, thresholds, samples, sums)


def program(layers: Layers) -> Program:
    """The network as one entry `infer`."""
    b = GraphBuilder("infer")
    kind = Int(0, 2**layers.network.inputs - 1)
    h: Value = b.input("x", TensorType((layers.network.sizes[0],), kind))
    for layer, weights in enumerate(layers.weights):
        ends = Int(int(weights.min()), int(weights.max()))
        h = b.apply("matmul", h, b.constant(weights.astype(np.int16), ends))
        if layer < len(layers.thresholds):
            steps = layers.thresholds[layer].astype(np.int32)
            h = b.apply("threshold", h, b.constant(steps, Int(-(2**31), 2**31 - 1)))
    b.output("y", h)
    graph = b.build()
    out = graph.outputs[0].type
    return plan([graph], Target("host", frozenset()), InputCode(out), OutputCode(out), {})


def plain(of: Program) -> str:
    """The same expressions in Verilog's operators, of which its synthesiser makes what it can."""
    entry = of.entry("infer")
    buffers = {name: numbers(a, of.buffers[name].type) for name, a in of.constants.items()}
    (x,), (y,) = entry.inputs, entry.outputs
    buffers[x] = elements(x, of.buffers[x].type)
    names: dict[Expr, str] = {}
    lines, place = [], 0
    for local in buffers[x].flat:
        kind = integer(local)
        names[local] = local.name
        port = f"x[{place + kind.bits - 1}:{place}]"
        lines.append(f"{declaration(kind, local.name)} = {port};")
        place += kind.bits
    for number, call in enumerate(entry.calls):
        results = unroll(call.nest, [buffers[name] for name in call.inputs])
        printer = VerilogPrinter(names, f"t{number}")
        for name, result in zip(call.outputs, results, strict=True):
            for index in np.ndindex(result.shape):
                expr = result.item(*index)
                if isinstance(expr, Const):
                    continue
                statements, text = printer.print(expr)
                local = result[index] = Local(element(name, index), integer(expr))
                names[local] = local.name
                register = declaration(integer(expr), local.name, "reg")
                clocked = f"always @(posedge clk) {local.name} <= {text};"
                lines += [*statements, f"{register};", clocked]
            buffers[name] = result
    bits = of.buffers[y].type.scalar.bits
    outputs = [VerilogPrinter(names).print(e)[1] for e in buffers[y].flat]
    lines += [
        f"always @(posedge clk) y[{bits * i} +: {bits}] <= {o};" for i, o in enumerate(outputs)
    ]
    ports = f"input clk, input [{place - 1}:0] x, output reg [{bits * len(outputs) - 1}:0] y"
    return "\n".join([f"module plain({ports});", *lines, "endmodule", ""])


def da4ml(layers: Layers) -> tuple[dict[str, str], int]:
    """Its sources, and its latency in cycles: the most stages that there may be."""
    import da4ml.codegen.rtl.verilog as verilog
    from da4ml.trace import FixedVariableArray, HWConfig, comb_trace, to_pipeline

    inputs = layers.network.sizes[0]
    none, bits = np.zeros(inputs, int), np.full(inputs, layers.network.inputs)
    x = FixedVariableArray.from_kif(none, bits, none, hwconf=HWConfig(1, -1, -1))
    h: Any = x
    for layer, weights in enumerate(layers.weights):
        h = h @ weights.astype(float)
        if layer < len(layers.thresholds):
            h = sum(h >= step for step in layers.thresholds[layer].T.astype(float))
    logic = comb_trace(x, h)
    np.testing.assert_array_equal(logic.predict(layers.samples.astype(float)), layers.sums)
    # A stage of registers comes before the first.
    piped = next(
        found
        for cutoff in range(1, 1000)
        if len((found := to_pipeline(logic, cutoff, verbose=False)).solutions) < CYCLES
    )
    folder = Path(verilog.__file__).parent / "source"
    sources = {p.name: p.read_text() for p in folder.glob("*.v") if "table" not in p.name}
    made = verilog.pipeline_logic_gen(piped, "da4ml", False, timescale="")
    sources |= {f"{name}.v": text for name, text in made.items()}
    return sources, len(piped.solutions) + 1


def rows(with_plain: bool) -> Iterator[list[str]]:
    for network in NETWORKS:
        layers = drawn(network)
        made = program(layers)
        core = print_core(made, made.entry("infer"), CYCLES)
        ours = synthesise({"core.v": core.text}, "et_core")
        sources, cycles = da4ml(layers)
        theirs = synthesise(sources, "da4ml")
        row = [str(network), _counts(ours, core.latency), _counts(theirs, cycles)]
        if with_plain:
            simple = synthesise({"plain.v": plain(made)}, "plain")
            dsps = f" + {simple.resources.dsps} DSP" if simple.resources.dsps else ""
            row.append(f"{simple.resources.luts:,}{dsps}")
        yield row


def _counts(found: Synthesis, cycles: int) -> str:
    cells = found.resources
    assert cells.dsps == cells.brams == cells.urams == 0
    counts = (cells.luts, cells.carries, cells.ffs, cells.inverters)
    return " / ".join(f"{count:,}" for count in counts) + f" / {cycles}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, required=True, metavar="FILE")
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    measured = []
    for row in rows(options.plain):
        print(*row, sep=" | ", flush=True)
        measured.append(row)
    head = ["network", "EdgeTrain", f"da4ml {version('da4ml')}"]
    head += ["plain Verilog: LUT"] if options.plain else []
    page = PAGE.format(yosys=version("pyosys"), table=table(head, measured))
    options.write.write_text(page)


if __name__ == "__main__":
    main()
