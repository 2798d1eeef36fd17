"""Every primitive in C equals NumPy at the ends of every type, over all types that it takes."""

import inspect
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from edgetrain.board import load_board
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.expr import Const, Dim, Expr, apply, assume
from edgetrain.compiler.graph import Graph, GraphBuilder
from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.nest import Nest, Out, Read
from edgetrain.compiler.primitives import PRIMITIVES
from edgetrain.compiler.types import BOOL, FLOAT16, FLOAT32, Float, Int, Scalar, TensorType
from edgetrain.link import open_link
from tests.c.harness import BUILDS, Array, Pair, build_program, floats, make_program

TYPES: tuple[Scalar, ...] = (
    BOOL,
    Int(-(2**7), 2**7 - 1),
    Int(0, 2**16 - 1),
    Int(-(2**31), 2**31 - 1),
    Int(0, 2**32 - 1),
    Int(-(2**62), 2**62 - 1),
    Int(-(2**63), 2**63 - 1),
    Int(0, 2**63 - 1),
    FLOAT32,
    FLOAT16,
)
AMOUNTS = (0, 1, 7, 31, 32, 40, 62)
SECOND: dict[str, tuple[Scalar, ...]] = {"shr": (Int(0, 62),), "div": (Int(1, 2**31 - 1),)}
"""Further types of the second operand."""
ENDS = (-(2**63), -(2**31), -(2**31) - 1, -1, 2**31 - 1, 2**31, 2**32, 2**63 - 1)


def values(scalar: Scalar, count: int) -> Array:
    """`count` values of a type: its ends, and what lies about zero."""
    if isinstance(scalar, Float):
        return floats(scalar)[:count]
    wanted = (scalar.lo, scalar.hi, -1, 0, 1, scalar.lo + 1, scalar.hi - 1, (2 * scalar.hi) // 3)
    found = [v if v in scalar else scalar.hi // 5 for v in wanted]
    return np.array(found[:count], storage_dtype(scalar))


def applications(name: str, operands: list[list[Expr]]) -> Iterator[Expr]:
    """The primitive on all combinations of operands that its rule accepts."""
    for arguments in product(*operands):
        try:
            yield apply(name, *arguments)
        except (TypeError, InputError):
            continue


def primitive_graph(name: str) -> tuple[Graph, list[Array]]:
    """All applications of a primitive as the results of one nest, and what to give it."""
    arity = len(inspect.signature(PRIMITIVES[name].rule).parameters)
    count = {1: 13, 2: 7, 3: 3}[arity]
    b = GraphBuilder(f"p_{name}")
    dims, reads, operands = [], [], []
    inputs = {}
    for position in range(arity):
        dim = Dim(f"i{position}", count)
        dims.append((dim.name, count))
        amounts = AMOUNTS if name in ("shl", "shr") else AMOUNTS[2:3]
        candidates: list[Expr] = [Const(c, Int(c, c)) for c in amounts if position == 1]
        types = (*TYPES, *SECOND.get(name, ())) if position == 1 else TYPES
        for number, scalar in enumerate(types):
            drawn = values(scalar, count)
            kind = TensorType((count,), scalar)
            read = Read(f"x{position}_{number}", (dim,), kind)
            reads.append(read)
            inputs[b.input(read.local, kind)] = np.resize(drawn, count)
            candidates.append(read.value)
        operands.append(candidates)
    outs = [
        Out(f"y{i}", tuple(d for d, _ in dims), body.type, body)
        for i, body in enumerate(applications(name, operands))
    ]
    results = b.nest(Nest(tuple(dims), tuple(reads), tuple(outs)), *inputs, op=name)
    for out, result in zip(outs, results, strict=True):
        b.output(out.name, result)
    return b.build(), list(inputs.values())


def assume_graph() -> tuple[Graph, list[Array]]:
    """Values of wide types that are vouched to be small, and are."""
    b = GraphBuilder("p_assume")
    small = Int(-5, 100)
    for position, scalar in enumerate(TYPES):
        if isinstance(scalar, Int) and scalar != BOOL:
            x = b.input(f"x{position}", TensorType((3,), scalar))
            read = Read("x", (Dim("n", 3),), x.type)
            body = assume(read.value, small)
            nest = Nest((("n", 3),), (read,), (Out("y", ("n",), body.type, body),))
            b.output(f"y{position}", b.nest(nest, x)[0])
    graph = b.build()
    return graph, [np.array([0, 7, 100], storage_dtype(v.type.scalar)) for v in graph.inputs]


def constants_graph() -> Graph:
    """Constants at the ends of the types, as results."""
    b = GraphBuilder("literals")
    b.input("unused", TensorType((), FLOAT16))
    literals = [Const(v, Int(v, v)) for v in ENDS] + [
        Const(float(v), kind) for kind in (FLOAT32, FLOAT16) for v in floats(kind)
    ]
    outs = tuple(Out(f"y{i}", (), literal.type, literal) for i, literal in enumerate(literals))
    for out, result in zip(outs, b.nest(Nest((), (), outs)), strict=True):
        b.output(out.name, result)
    return b.build()


@pytest.mark.parametrize("build", ["gcc -O0 sanitized", "gcc -O1", "clang -O1"])
def test_primitives(build: str, tmp_path: Path) -> None:
    cases = [primitive_graph(name) for name in PRIMITIVES if name != "assume"]
    cases.append(assume_graph())
    program = make_program([constants_graph(), *(graph for graph, _ in cases)])
    toolchain, flags = BUILDS[build]
    image = build_program(program, tmp_path, toolchain, flags)
    with open_link(load_board("host"), image, "host") as link:
        pair = Pair(program, link)
        for entry, inputs in zip(
            program.entries, [[floats(FLOAT16)[0]], *(drawn for _, drawn in cases)], strict=True
        ):
            pair.check(entry, inputs)
