"""Graphs in which every op of the table occurs: operands as inputs, as constants, as state."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from edgetrain.compiler.contract import Contract
from edgetrain.compiler.expr import Dim, add, clamp, sub
from edgetrain.compiler.graph import Graph, GraphBuilder, Value
from edgetrain.compiler.nest import Nest, Out, Read
from edgetrain.compiler.ops import OPS, Example, Op
from edgetrain.compiler.types import FLOAT16, FLOAT32, Int, TensorType
from tests.c.harness import draw
from tests.c.packed_graphs import packed_state_graphs
from tests.compiler.draws import in_half
from tests.compiler.random_graphs import random_graph as few_bits

SEEDS = 2


def all_graphs() -> list[Graph]:
    """Every graph of this file."""
    return [
        *op_graphs(),
        *packed_graphs(),
        *packed_state_graphs(),
        *gather_graphs(),
        *state_graphs(),
        *contract_graphs(),
        *(random_graph(seed) for seed in range(12)),
    ]


def op_graphs() -> Iterator[Graph]:
    """Each example of each op: once with all operands as inputs, once with one of them as such."""
    for op in OPS.values():
        rng = np.random.default_rng([7, *op.name.encode()])
        for seed in range(SEEDS):
            example = op.example(rng)
            yield op_graph(f"{op.name}_{seed}_inputs", op, example, rng, len(example.operands))
            if len(example.operands) > 1:
                yield op_graph(f"{op.name}_{seed}_constants", op, example, rng, 1)
        half = in_half(op, example)
        if half is not None:
            yield op_graph(f"{op.name}_half", op, half, rng, len(half.operands))


def uses_half(graph: Graph) -> bool:
    """Whether FLOAT16 occurs in `graph`."""
    computed = [value for node in graph.nodes for value in node.outputs]
    return any(v.type.scalar == FLOAT16 for v in (*graph.inputs, *graph.constants, *computed))


def op_graph(name: str, op: Op, example: Example, rng: np.random.Generator, inputs: int) -> Graph:
    """`op` with its first `inputs` operands as inputs; sorted ones are constants always."""
    b = GraphBuilder(name)
    operands: list[Value] = []
    for position, kind in enumerate(example.operands):
        if position < inputs and position not in example.sorted_operands:
            operands.append(b.input(f"x{position}", kind))
        else:
            array = draw(rng, kind)
            if position in example.sorted_operands:
                array = np.sort(array, axis=-1)
            operands.append(b.constant(array, kind.scalar))
    b.output("y", b.apply(op.name, *operands, **example.attributes))
    return b.build()


def packed_graphs() -> Iterator[Graph]:
    """Products with constants of 1, 2 and 4 bits, rows that fill words and rows that do not."""
    rng = np.random.default_rng(8)
    for scalar in (Int(0, 1), Int(-1, 0), Int(-2, 1), Int(0, 3), Int(-8, 7), Int(0, 15)):
        per_word = 32 // scalar.bits
        for k in (1, per_word - 1, per_word, per_word + 1, 2 * per_word + 3):
            b = GraphBuilder(f"packed_{scalar.name}_{k}".lower())
            x = b.input("x", TensorType((k,), Int(-128, 127)))
            w = b.constant(draw(rng, TensorType((k, 3), scalar)), scalar)
            b.output("y", b.apply("matmul", x, w))
            yield b.build()


def gather_graphs() -> Iterator[Graph]:
    """Rows picked out of constants, packed and not."""
    rng = np.random.default_rng(9)
    for scalar in (Int(0, 1), Int(-2, 1), Int(-8, 7), Int(-(2**62), 2**62), Int(0, 2**63 - 1)):
        b = GraphBuilder(f"gather_{scalar.name}".lower())
        row = b.input("row", TensorType((), Int(0, 6)))
        table = b.constant(draw(rng, TensorType((7, 19), scalar)), scalar)
        b.output("y", b.apply("take", row, table))
        yield b.build()


def contract_graphs() -> Iterator[Graph]:
    """Float sums in every number of lanes, with tails, so long that no two contracts agree."""
    rng = np.random.default_rng(13)
    for lanes in (1, 2, 8):
        for fused in (False, True):
            for k in (1, lanes + 1, 3 * lanes + 2, 40):
                kinds = TensorType((k,), FLOAT32), TensorType((k, 3), FLOAT32)
                nest = with_contract(OPS["matmul"].meaning(*kinds), Contract(fused, lanes))
                b = GraphBuilder(f"contract_{lanes}_{fused}_{k}".lower())
                w = b.constant(draw(rng, kinds[1]), FLOAT32)
                b.output("y", b.nest(nest, b.input("x", kinds[0]), w)[0])
                yield b.build()


def with_contract(nest: Nest, contract: Contract) -> Nest:
    """`nest`, whose only fold keeps `contract`."""
    (out,) = nest.outs
    assert out.fold is not None
    fold = replace(out.fold, contract=contract)
    return replace(nest, outs=(replace(out, fold=fold),))


def state_graphs() -> Iterator[Graph]:
    """Tables that change by rows: in place, through a copy where the old rows are read later."""
    rng = np.random.default_rng(10)
    element = Int(-9, 300)
    for name, shape in (("vector", (6,)), ("matrix", (6, 5))):
        for late in (False, True):
            b = GraphBuilder(f"state_{name}_{'late' if late else 'early'}")
            at = b.input("at", TensorType((), Int(0, 5)))
            row = b.input("row", TensorType(shape[1:], element))
            table = b.state(
                f"table_{name}_{late}".lower(), draw(rng, TensorType(shape, element)), element
            )
            early = None if late else b.apply("take", at, table)
            following = b.apply("put", table, at, row)
            b.output("old", b.apply("take", at, table) if early is None else early)
            b.update(table, following)
            yield b.build()
    yield accumulating()
    for seed in range(2, 40, 3):
        yield few_bits(seed, f"few_bits_{seed}")


def accumulating() -> Graph:
    """State that starts at zero and is updated from itself, element by element."""
    b = GraphBuilder("accumulating")
    x = b.input("x", TensorType((5,), Int(-100, 100)))
    total = b.state("total", np.zeros(5, np.int16), Int(-1000, 1000))
    b.update(total, b.nest(_saturating_sum(5), total, x)[0])
    b.output("y", b.apply("relu", total))
    return b.build()


def _saturating_sum(size: int) -> Nest:
    n, within = Dim("n", size), Int(-1000, 1000)
    total = Read("total", (n,), TensorType((size,), within))
    x = Read("x", (n,), TensorType((size,), Int(-100, 100)))
    body = clamp(add(total.value, x.value), within)
    return Nest((("n", size),), (total, x), (Out("y", ("n",), within, body),))


def _sum_and_difference(a: TensorType, b: TensorType) -> Nest:
    """One nest with two results."""
    n = Dim("n", a.shape[0])
    reads = (Read("a", (n,), a), Read("b", (n,), b))
    bodies = (add(reads[0].value, reads[1].value), sub(reads[0].value, reads[1].value))
    outs = (Out(name, ("n",), y.type, y) for name, y in zip("sd", bodies, strict=True))
    return Nest((("n", n.size),), reads, tuple(outs))


def random_graph(seed: int) -> Graph:
    """Ops over vectors in a random order, so that buffers of all types share the arena."""
    rng = np.random.default_rng([11, seed])
    b = GraphBuilder(f"random_{seed}")
    size = int(rng.integers(1, 40))
    values = [
        b.input(f"x{i}", TensorType((size,), scalar))
        for i, scalar in enumerate((Int(-3, 3), Int(0, 200), Int(-(2**20), 2**20)))
    ]
    for _ in range(int(rng.integers(4, 16))):
        values += _random_step(b, rng, [values[i] for i in rng.integers(len(values), size=3)])
    chosen = rng.choice(len(values) - 3, size=min(3, len(values) - 3), replace=False) + 3
    for number, position in enumerate(chosen):
        b.output(f"y{number}", values[position])
    return b.build()


def _random_step(
    b: GraphBuilder, rng: np.random.Generator, values: list[Value]
) -> tuple[Value, ...]:
    x, y, z = values
    (size,) = x.type.shape
    kind = x.type.scalar
    assert isinstance(kind, Int)
    if kind.bits > 24:
        levels = np.sort(draw(rng, TensorType((size, 7), kind)), axis=-1)
        return (b.apply("threshold", x, b.constant(levels, kind), lowest=-3),)
    match rng.integers(5):
        case 0:
            weights = draw(rng, TensorType((size, size), Int(-2, 1)))
            return (b.apply("matmul", x, b.constant(weights, Int(-2, 1))),)
        case 1 if y.type.scalar.bits <= 24:
            return (b.apply("affine", x, y, z),)
        case 2:
            return (b.apply("relu", x),)
        case 3:
            factors = b.constant(np.full(size, 77), Int(0, 100))
            return (b.apply("requantise", x, factors, z, shift=9, within=Int(-128, 127)),)
        case _:
            return b.nest(_sum_and_difference(x.type, y.type), x, y)
