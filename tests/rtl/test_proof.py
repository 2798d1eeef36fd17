"""The printed logic of each neuron of the reference network is proved to be what its weights and
thresholds say, for every input.

Yosys reads the Verilog and makes gates of it; registers become wires, since the circuit is the same
for an input that stays.  Of the gates, and of the sum over the weights by its definition, binary
decision diagrams are built (Bryant 1986), which are canonical: two functions are equal if and only
if their diagrams are the same node.
"""

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import GraphBuilder
from edgetrain.compiler.types import Int, TensorType
from edgetrain.fpga.synthesis import run_yosys, yosys_version
from edgetrain.kernels.rtl.unrolled import print_core
from tests.c.harness import make_program
from tests.support import absent
from tools.unrolled_table import NETWORKS, drawn

CYCLES = 3
REGISTERS = """
(* techmap_celltype = "$dffe" *)
module wire_of_register(CLK, EN, D, Q);
parameter WIDTH = 0; parameter CLK_POLARITY = 1; parameter EN_POLARITY = 1;
input CLK, EN; input [WIDTH-1:0] D; output [WIDTH-1:0] Q;
assign Q = D;
endmodule
"""
COMMANDS = (
    "read_verilog core.v",
    "hierarchy -top et_core",
    "proc",
    "opt_expr",
    "opt_dff -nosdff",
    "techmap -map registers.v",
    "opt",
    "techmap",
    "opt",
    "aigmap",
    "clean",
    "write_aiger -ascii -symbols gates.aag",
)


@dataclass(frozen=True)
class Layer:
    """Sums of 2-bit inputs by weights (input, neuron); how many of a neuron's thresholds are at
    most the sum, or the sum itself where there are none."""

    weights: NDArray[np.int64]
    thresholds: NDArray[np.int64] | None

    def value(self, neuron: int, total: int) -> int:
        if self.thresholds is None:
            return total
        return sum(step <= total for step in self.thresholds[neuron].tolist())

    def neurons(self, chosen: list[int]) -> "Layer":
        limits = None if self.thresholds is None else self.thresholds[chosen]
        return Layer(self.weights[:, chosen], limits)


def layers() -> list[Layer]:
    reference = drawn(NETWORKS[0])
    assert reference.network.inputs == reference.network.activations == 2
    return [
        Layer(w, t) for w, t in zip(reference.weights, [*reference.thresholds, None], strict=True)
    ]


def printed(layer: Layer) -> tuple[str, int]:
    """The core of one layer, and how many bits it gives for a neuron."""
    b = GraphBuilder("infer")
    x = b.input("x", TensorType((len(layer.weights),), Int(0, 3)))
    y = b.apply("matmul", x, b.constant(layer.weights.astype(np.int8), Int(-1, 1)))
    if layer.thresholds is not None:
        steps = b.constant(layer.thresholds.astype(np.int32), Int(-(2**31), 2**31 - 1))
        y = b.apply("threshold", y, steps)
    b.output("y", y)
    program = make_program([b.build()])
    entry = program.entry("infer")
    kind = program.buffers[entry.outputs[0]].type.scalar
    assert isinstance(kind, Int)
    return print_core(program, entry, CYCLES).text, kind.bits


class Gates:
    """An AND-inverter graph in AIGER's ASCII format: literals, twice a number, odd if inverted."""

    def __init__(self, text: str) -> None:
        lines = text.split("\n")
        _, inputs, latches, outputs, gates = map(int, lines[0].split()[1:])
        assert latches == 0
        rows = [list(map(int, line.split())) for line in lines[1 : 1 + inputs + outputs + gates]]
        symbols = [line for line in lines[1 + len(rows) :] if line.startswith(("i", "o"))]
        names = dict(line.split(" ", 1) for line in symbols)
        self.inputs = {row[0] // 2: names[f"i{i}"] for i, row in enumerate(rows[:inputs])}
        made = rows[inputs : inputs + outputs]
        self.outputs = {names[f"o{i}"]: literal for i, (literal,) in enumerate(made)}
        self._ands = {row[0] // 2: row[1:] for row in rows[inputs + outputs :]}

    def cone(self, literal: int) -> dict[int, list[int]]:
        """What a literal is made of, each after what it reads, depth first; inputs read nothing."""
        found: dict[int, list[int]] = {}
        pending = [literal // 2]
        while pending:
            number = pending[-1]
            reads = self._ands.get(number, [])
            missing = [read // 2 for read in reads if read // 2 not in found]
            if missing:
                pending.append(missing[0])
            else:
                found.setdefault(pending.pop(), reads)
        return found


def equal(gates: Gates, output: str, layer: Layer, neuron: int, bit: int) -> bool:
    """Whether an output is that bit of a neuron's value, for every input.

    The diagrams' order of variables is that in which the gates meet the inputs: terms that are
    added first are then beside each other.
    """
    literal = gates.outputs[output]
    cone = gates.cone(literal)
    met = [gates.inputs[number] for number in cone if number in gates.inputs]
    inputs = list(dict.fromkeys(int(name[2:-1]) // 2 for name in met))
    order = [f"x[{2 * i + place}]" for i in inputs for place in (0, 1)]
    # Where there is no CUDD, in Python.
    cudd = importlib.util.find_spec("dd.cudd") is not None
    bdd: Any = importlib.import_module("dd.cudd" if cudd else "dd.autoref").BDD()
    bdd.declare(*order)
    bdd.configure(reordering=False)
    nodes = {0: bdd.false}
    for number, reads in cone.items():
        if number in gates.inputs:
            nodes[number] = bdd.var(gates.inputs[number])
        elif reads:
            a, b = (~nodes[read // 2] if read & 1 else nodes[read // 2] for read in reads)
            nodes[number] = a & b
    found = ~nodes[literal // 2] if literal & 1 else nodes[literal // 2]
    return bool(found == _meant(bdd, order, layer, neuron, bit))


def _meant(bdd: Any, order: list[str], layer: Layer, neuron: int, bit: int) -> Any:
    """By what the sum has come to before each bit of the inputs."""
    column = layer.weights[:, neuron].tolist()
    weights = {f"x[{2 * i + b}]": w << b for i, w in enumerate(column) for b in (0, 1) if w}
    bits = [(name, weights.pop(name, 0)) for name in order]
    # Others count, too: if the gates do not read them, they are not equal, or it decides nothing.
    bits += sorted(weights.items())
    bdd.declare(*weights)
    known: dict[tuple[int, int], Any] = {}

    def after(place: int, total: int) -> Any:
        if place == len(bits):
            return bdd.true if layer.value(neuron, total) >> bit & 1 else bdd.false
        if (place, total) not in known:
            name, weight = bits[place]
            one, zero = after(place + 1, total + weight), after(place + 1, total)
            known[place, total] = bdd.ite(bdd.var(name), one, zero)
        return known[place, total]

    found = after(0, 0)
    # Or the cycle of a function that refers to itself holds nodes for longer than their manager.
    known.clear()
    return found


def proved(circuit: Layer, meant: Layer, scratch: Path) -> list[bool]:
    """Of each neuron: whether the logic of `circuit` is what `meant` says."""
    text, bits = printed(circuit)
    (scratch / "core.v").write_text(text)
    (scratch / "registers.v").write_text(REGISTERS)
    run_yosys(COMMANDS, scratch)
    gates = Gates((scratch / "gates.aag").read_text())
    return [
        all(equal(gates, f"y[{bits * neuron + bit}]", meant, neuron, bit) for bit in range(bits))
        for neuron in range(meant.weights.shape[1])
    ]


@pytest.fixture(autouse=True)
def _tools() -> None:
    if importlib.util.find_spec("dd") is None:
        absent("dd not installed; pip install 'edgetrain[dev]'")
    try:
        yosys_version()
    except InputError as error:
        absent(str(error))


@pytest.mark.parametrize("number", range(3))
def test_every_neuron(number: int, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Of the first two layers three, but all with --every."""
    layer = layers()[number]
    count = layer.weights.shape[1]
    if not request.config.getoption("--every"):
        count = min(count, 3)
    some = layer.neurons(list(range(count)))
    assert proved(some, some, tmp_path) == [True] * count


def test_what_is_mutated_is_caught(tmp_path: Path) -> None:
    """One weight and one threshold; the neuron between them is as it was."""
    meant = layers()[1].neurons([5, 6, 7])
    assert meant.thresholds is not None
    rng = np.random.default_rng(1)
    weights, thresholds = meant.weights.copy(), meant.thresholds.copy()
    # The lowest bit of one that is 0 or 1.
    weights[rng.choice(np.flatnonzero(weights[:, 0] >= 0)), 0] ^= 1
    thresholds[2, rng.integers(3)] += 1
    assert proved(Layer(weights, thresholds), meant, tmp_path) == [False, True, False]
