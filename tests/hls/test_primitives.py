"""Every primitive of integers in HLS C++ is what it is in Python, at the ends of its types."""

import inspect
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.expr import Apply, Const, Dim, Expr, Local, apply
from edgetrain.compiler.graph import Graph, GraphBuilder
from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.nest import Nest, Out, Read
from edgetrain.compiler.primitives import PRIMITIVES
from edgetrain.compiler.program import elements
from edgetrain.compiler.types import BOOL, FLOAT32, Int, TensorType
from edgetrain.kernels.hls.expressions import HlsPrinter
from tests.c.harness import make_program, pack
from tests.compiler.scalars import PRIMITIVE_MEANINGS, corners
from tests.hls.harness import simulated

FLOATS = {name for name, primitive in PRIMITIVES.items() if primitive.verilog is None}
INTEGERS = sorted(PRIMITIVES.keys() - FLOATS - {"assume"})
"""`assume` follows from the others: it is no operation."""
WIDE = (Int(-(2**31), 2**31 - 1), Int(0, 2**32 - 1), Int(-(2**62), 2**62 - 1), Int(0, 2**63 - 1))
TYPES = (BOOL, Int(-1, 1), Int(-5, 100), Int(3, 9), *WIDE)
SECOND = {"shr": (Int(0, 62),), "shl": (Int(0, 5),), "div": (Int(1, 9),)}
AMOUNTS = tuple(Const(n, Int(n, n)) for n in (7, 0, 31))
TURNS = 31


def applications(name: str) -> Iterator[tuple[Expr, ...]]:
    """Operands of types that are close, apart and of either sign."""
    arity = len(inspect.signature(PRIMITIVES[name].rule).parameters)
    for picked in product(range(len(TYPES)), repeat=min(arity, 2)):
        if sum(picked) % 5 == 1 or picked[0] == picked[-1]:
            kinds = [TYPES[i] for i in picked]
            yield tuple(Local(f"x{p}", k) for p, k in enumerate([*kinds, *kinds[1:]][:arity]))
    for kind in TYPES if arity == 2 else ():
        shifts = name in ("shl", "shr")
        others: list[Expr] = [Local("x1", k) for k in SECOND.get(name, ())]
        others += AMOUNTS[: 3 if shifts else 1]
        yield from ((Local("x0", kind), other) for other in others)
    if name == "select":
        yield from (
            (Local("x0", BOOL), Local("x1", a), Local("x2", b)) for a in TYPES for b in WIDE[::2]
        )


def graph_of(name: str) -> tuple[Graph, list[Apply]]:
    """All applications that have a type, as the results of one nest."""
    b, turn = GraphBuilder(f"p_{name}"), Dim("i", TURNS)
    read: dict[Local, Read] = {}
    found: list[Apply] = []
    for operands in applications(name):
        named: list[Expr] = []
        for operand in operands:
            if isinstance(operand, Local):
                local = f"{operand.name}_{operand.type.name}_{operand.type.lo % 97}"  # type: ignore[union-attr]
                kind = TensorType((TURNS,), operand.type)
                read.setdefault(operand, Read(local, (turn,), kind))
                named.append(read[operand].value)
            else:
                named.append(operand)
        try:
            expr = apply(name, *named)
        except (TypeError, InputError):
            continue
        assert isinstance(expr, Apply)
        found.append(expr)
    wanted = {a for expr in found for a in expr.args}
    reads = tuple(r for r in read.values() if r.value in wanted)
    outs = tuple(Out(f"y{i}", ("i",), e.type, e) for i, e in enumerate(found))
    inputs = [b.input(r.local, r.type) for r in reads]
    results = b.nest(Nest((("i", TURNS),), reads, outs), *inputs, op=name)
    for out, result in zip(outs, results, strict=True):
        b.output(out.name, result)
    return b.build(), found


def test_primitives(tmp_path: Path) -> None:
    cases = [graph_of(name) for name in INTEGERS]
    program = make_program([graph for graph, _ in cases])
    with simulated(program, tmp_path) as pair:
        for position, (entry, (_, applied)) in enumerate(zip(program.entries, cases, strict=True)):
            buffers = [program.buffers[name] for name in entry.inputs]
            drawn = {}
            for number, (name, buffer) in enumerate(zip(entry.input_names, buffers, strict=True)):
                values = corners(buffer.type.scalar)
                # Steps without a common factor bring together each with each.
                drawn[name] = [int(values[i * (1 + number) % len(values)]) for i in range(TURNS)]
            arrays = [
                np.array(values, storage_dtype(buffer.type.scalar))
                for values, buffer in zip(drawn.values(), buffers, strict=True)
            ]
            result = pair.target.run(position, b"".join(map(pack, buffers, arrays)))
            assert result.status == 0
            offset = 0
            for name, expr in zip(entry.outputs, applied, strict=True):
                buffer = program.buffers[name]
                found = elements(buffer, result.output[offset : offset + buffer.bytes])
                offset += buffer.bytes
                meaning = PRIMITIVE_MEANINGS[expr.op]
                for i in range(TURNS):
                    values = [
                        drawn[a.name][i] if isinstance(a, Local) else a.value  # type: ignore[union-attr]
                        for a in expr.args
                    ]
                    assert found[i] == meaning(*values), (expr, values)


@pytest.mark.parametrize("name", sorted(FLOATS))
def test_floats_are_refused(name: str) -> None:
    arity = len(inspect.signature(PRIMITIVES[name].rule).parameters)
    for kind in (FLOAT32, Int(0, 3)):
        try:
            expr = apply(name, *[Local("x", kind)] * arity)
        except TypeError:
            continue
        printer = HlsPrinter()
        printer.names[Local("x", kind)] = "x"
        with pytest.raises(InputError, match="has no HLS form"):
            printer.print(expr)
