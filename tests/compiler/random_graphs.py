"""Random graphs with state, whose updates may and may not be made in place."""

import numpy as np
from numpy.random import Generator

from edgetrain.compiler.expr import Dim, Expr, add, clamp, lift, mul, sub
from edgetrain.compiler.graph import Graph, GraphBuilder, Value
from edgetrain.compiler.nest import Nest, Out, Read, fold
from edgetrain.compiler.types import Int, TensorType
from tests.compiler.draws import Array, draw

ELEMENT, FEW_BITS = Int(-100, 100), Int(-2, 1)
ROWS, COLUMNS = 3, 4
SHAPES: tuple[tuple[int, ...], ...] = ((), (COLUMNS,), (ROWS, COLUMNS))
INDEX = TensorType((), Int(0, ROWS - 1))
KINDS = ("map", "map", "reversed", "put", "put", "product", "columns", "sum", "take")


def dims_of(shape: tuple[int, ...]) -> tuple[Dim, ...]:
    return tuple(Dim(f"i{axis}", length) for axis, length in enumerate(shape))


def a_map(shape: tuple[int, ...], reads: tuple[Read, ...], body: Expr, element: Int) -> Nest:
    dims = tuple((d.name, d.size) for d in dims_of(shape))
    out = Out("y", tuple(name for name, _ in dims), element, clamp(body, element))
    return Nest(dims, reads, (out,))


class RandomGraph:
    """Grows a graph; every value is of type `element` and of a shape in SHAPES."""

    def __init__(self, rng: Generator, name: str, element: Int) -> None:
        self.rng = rng
        self.element = element
        self.builder = GraphBuilder(name)
        self.index = self.builder.input("at", INDEX)
        self.pool = [
            self.builder.input(f"x{i}", TensorType(s, element)) for i, s in enumerate(SHAPES)
        ]
        self.states: list[Value] = []
        for position in range(int(rng.integers(1, 4))):
            kind = TensorType(SHAPES[rng.integers(len(SHAPES))], element)
            state = self.builder.state(f"{name}_s{position}", draw(rng, kind), element)
            self.states.append(state)
        self.pool += self.states
        self.last: list[Value] = []
        self.readers: dict[Value, list[Value]] = {}

    def pick(self, shape: tuple[int, ...]) -> Value:
        """A value of `shape`, states and late ones more often."""
        value = self._pick(shape)
        self.last.append(value)
        return value

    def _pick(self, shape: tuple[int, ...]) -> Value:
        fitting = [v for v in self.pool if v.type.shape == shape]
        states = [v for v in self.states if v.type.shape == shape]
        if states and self.rng.random() < 0.4:
            return states[self.rng.integers(len(states))]
        return fitting[-1] if self.rng.random() < 0.3 else fitting[self.rng.integers(len(fitting))]

    def grow(self) -> None:
        kind = self.rng.choice(
            ["map", "map", "reversed", "put", "put", "product", "columns", "sum", "take"]
        )
        self.last.clear()
        made = getattr(self, f"_{kind}")(SHAPES[self.rng.integers(len(SHAPES))])
        self.pool.append(made)
        for state in self.states:
            if state in self.last and state.type == made.type:
                self.readers.setdefault(state, []).append(made)

    def _map(self, shape: tuple[int, ...]) -> Value:
        a, b = self.pick(shape), self.pick(shape)
        dims = dims_of(shape)
        reads = (Read("a", dims, a.type), Read("b", dims, b.type))
        body = sub(mul(reads[0].value, int(self.rng.integers(-2, 3))), reads[1].value)
        return self.builder.nest(a_map(shape, reads, body, self.element), a, b)[0]

    def _reversed(self, shape: tuple[int, ...]) -> Value:
        a, b = self.pick(shape), self.pick(shape)
        dims = dims_of(shape)
        turned = tuple(sub(d.size - 1, d) for d in dims)
        reads = (Read("a", dims, a.type), Read("b", turned, b.type))
        body = add(reads[0].value, reads[1].value)
        return self.builder.nest(a_map(shape, reads, body, self.element), a, b)[0]

    def _put(self, _: tuple[int, ...]) -> Value:
        table, row = self.pick((ROWS, COLUMNS)), self.pick((COLUMNS,))
        return self.builder.apply("put", table, self.index, row)

    def _take(self, _: tuple[int, ...]) -> Value:
        return self.builder.apply("take", self.index, self.pick((ROWS, COLUMNS)))

    def _product(self, _: tuple[int, ...]) -> Value:
        x = self.pick((COLUMNS,))
        k, n = Dim("k", COLUMNS), Dim("n", COLUMNS)
        w = self.builder.constant(self.rng.integers(-2, 2, (COLUMNS, COLUMNS)), Int(-2, 1))
        x_read, w_read = Read("x", (k,), x.type), Read("w", (k, n), w.type)
        total = fold("add", mul(x_read.value, w_read.value), lift(0), COLUMNS)
        out = Out("y", ("n",), self.element, clamp(total.result, self.element), total)
        nest = Nest((("n", COLUMNS), ("k", COLUMNS)), (x_read, w_read), (out,))
        return self.builder.nest(nest, x, w)[0]

    def _columns(self, _: tuple[int, ...]) -> Value:
        x = self.pick((ROWS, COLUMNS))
        r, c = Dim("r", ROWS), Dim("c", COLUMNS)
        read = Read("x", (r, c), x.type)
        total = fold("add", read.value, lift(0), ROWS)
        out = Out("y", ("c",), self.element, clamp(total.result, self.element), total)
        nest = Nest((("c", COLUMNS), ("r", ROWS)), (read,), (out,))
        return self.builder.nest(nest, x)[0]

    def _sum(self, shape: tuple[int, ...]) -> Value:
        x = self.pick(shape)
        dims = dims_of(shape)
        read = Read("x", dims, x.type)
        total = fold("add", read.value, lift(0), x.type.size)
        out = Out("y", (), self.element, clamp(total.result, self.element), total)
        return self.builder.nest(Nest(tuple((d.name, d.size) for d in dims), (read,), (out,)), x)[0]

    def finish(self) -> Graph:
        for state in self.states:
            readers = self.readers.get(state, [])
            likely = bool(readers) and self.rng.random() < 0.7
            following = readers[-1] if likely else self._pick(state.type.shape)
            # One state cannot simply become another.
            if following not in self.states:
                self.builder.update(state, following)
        for position in range(int(self.rng.integers(1, 4))):
            self.builder.output(f"y{position}", self.pool[self.rng.integers(len(self.pool))])
        return self.builder.build()


def random_graph(seed: int, name: str = "g") -> Graph:
    """A graph of 1 to 12 nodes and 1 to 3 states; every third is of few bits."""
    rng = np.random.default_rng([13, seed])
    random = RandomGraph(rng, name, FEW_BITS if seed % 3 == 2 else ELEMENT)
    for _ in range(int(rng.integers(1, 13))):
        random.grow()
    return random.finish()


def random_inputs(graph: Graph, rng: Generator) -> list[Array]:
    return [draw(rng, value.type) for value in graph.inputs]
