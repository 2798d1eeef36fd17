"""An SSA graph of nests over typed values; an update yields the next value of a state."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.nest import Nest
from edgetrain.compiler.ops import OPS
from edgetrain.compiler.types import Float, Int, Scalar, TensorType

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Value:
    """One tensor.  `name` is generated, never taken from a model file."""

    name: str
    type: TensorType


@dataclass(frozen=True, slots=True)
class Node:
    """`outputs` are `nest` of `inputs` (one input a read).

    `op` and `attributes` say where the nest came from, for a gradient.
    """

    op: str
    nest: Nest
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Node):
            return NotImplemented
        # What it makes comes first: nests may be alike, and take long to compare.
        mine, theirs = (
            (node.outputs, node.inputs, node.op, node.attributes, node.nest)
            for node in (self, other)
        )
        return mine == theirs


@dataclass(frozen=True, slots=True)
class State:
    """A tensor kept between runs: `current` is read, `next` takes its place at the end."""

    current: Value
    next: Value
    initial: Array


@dataclass(frozen=True)
class Graph:
    """Valid by construction: raises ValueError with the offending value otherwise.

    `output_names`: what the device's interface calls each output (an input goes by its value's
    name).  `finite_inputs`: the device refuses NaN and infinity, changing nothing.
    """

    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    output_names: tuple[str, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[Value, Array]
    states: tuple[State, ...] = ()
    finite_inputs: bool = False

    def __post_init__(self) -> None:
        sources = [*self.inputs, *self.constants, *(s.current for s in self.states)]
        defined = {value.name: value for value in sources}
        if len(defined) != len(sources):
            raise ValueError("two sources share a name")
        if len(set(self.output_names)) != len(self.outputs):
            raise ValueError("the outputs do not have one name each")
        for value, array in self.constants.items():
            check_array(value, array)
        for state in self.states:
            check_array(state.current, state.initial)
            if state.next.type != state.current.type:
                raise ValueError(f"state {state.current.name}: next is {state.next.type}")
        for node in self.nodes:
            _check_node(node, defined)
            for out in node.outputs:
                if out.name in defined:
                    raise ValueError(f"{out.name} is defined twice")
                defined[out.name] = out
        for value in (*self.outputs, *(s.next for s in self.states)):
            if defined.get(value.name) != value:
                raise ValueError(f"{value.name} is never computed")

    def __str__(self) -> str:
        """The readable text form."""
        lines = [f"graph {self.name}"]
        lines += [f"  input {v.name}: {v.type}" for v in self.inputs]
        lines += [f"  constant {v.name}: {v.type}" for v in self.constants]
        lines += [f"  state {s.current.name}: {s.current.type}" for s in self.states]
        for node in self.nodes:
            results = ", ".join(f"{v.name}: {v.type}" for v in node.outputs)
            operands = ", ".join(v.name for v in node.inputs)
            lines.append(f"  {results} = {node.op}({operands})")
        named = zip(self.output_names, self.outputs, strict=True)
        lines += [f"  output {name} = {v.name}" for name, v in named]
        lines += [f"  next {s.current.name} = {s.next.name}" for s in self.states]
        return "\n".join(lines)

    @property
    def lasting(self) -> set[Value]:
        """What is there before any node has run: inputs, constants, and states as they are."""
        return {*self.inputs, *self.constants, *(state.current for state in self.states)}

    @property
    def kept(self) -> set[Value]:
        """What must be there when all have: outputs, and what states become."""
        return {*self.outputs, *(state.next for state in self.states)}

    def with_nodes(self, nodes: Iterable[Node], constants: Mapping[Value, Array]) -> "Graph":
        return replace(self, nodes=tuple(nodes), constants=dict(constants))


def check_array(value: Value, array: Array) -> None:
    """Raise ValueError unless `array` has the shape of `value` and elements within its range."""
    if array.shape != value.type.shape:
        raise ValueError(f"{value.name}: shape {array.shape} is not {value.type}")
    scalar = value.type.scalar
    if isinstance(scalar, Float):
        if array.dtype != np.dtype(f"float{scalar.bits}"):
            raise ValueError(f"{value.name}: {array.dtype} is not {value.type}")
    elif array.dtype.kind not in "iu":
        raise ValueError(f"{value.name}: {array.dtype} is not {value.type}")
    elif array.size and not (int(array.min()) in scalar and int(array.max()) in scalar):
        raise ValueError(f"{value.name}: elements leave {value.type}")


def _check_node(node: Node, defined: Mapping[str, Value]) -> None:
    if len(node.inputs) != len(node.nest.reads) or len(node.outputs) != len(node.nest.outs):
        raise ValueError(f"{node.op}: operands do not match its nest")
    for value, read in zip(node.inputs, node.nest.reads, strict=True):
        if defined.get(value.name) != value:
            raise ValueError(f"{node.op}: {value.name} is used before it is defined")
        if value.type != read.type:
            raise ValueError(f"{node.op}: {value.name} is {value.type}, not {read.type}")
    for value, out in zip(node.outputs, node.nest.outs, strict=True):
        if value.type != node.nest.out_type(out):
            raise ValueError(f"{node.op}: {value.name} is not {node.nest.out_type(out)}")


class GraphBuilder:
    """Collects a graph and names its values."""

    def __init__(self, name: str, *, finite_inputs: bool = False) -> None:
        self._name = name
        self._finite_inputs = finite_inputs
        self._inputs: list[Value] = []
        self._outputs: dict[str, Value] = {}
        self._nodes: list[Node] = []
        self._constants: dict[Value, Array] = {}
        self._currents: list[tuple[Value, Array]] = []
        self._nexts: dict[Value, Value] = {}
        self._condition: Value | None = None
        self._count = 0

    def _value(self, prefix: str, kind: TensorType) -> Value:
        value = Value(f"{prefix}{self._count}", kind)
        self._count += 1
        return value

    def input(self, name: str, kind: TensorType) -> Value:
        self._inputs.append(Value(name, kind))
        return self._inputs[-1]

    def constant(self, array: Array, scalar: Scalar | None = None) -> Value:
        """A constant of type `scalar`, by default the tightest range of its elements."""
        if scalar is None:
            if array.dtype.kind == "f":
                scalar = Float(array.dtype.itemsize * 8)
            else:
                scalar = Int(int(array.min()), int(array.max()))
        value = self._value("c", TensorType(array.shape, scalar))
        self._constants[value] = array
        return value

    def state(self, name: str, initial: Array, scalar: Scalar) -> Value:
        value = Value(name, TensorType(initial.shape, scalar))
        self._currents.append((value, initial))
        return value

    def array_of(self, value: Value) -> Array | None:
        """The elements of a constant; None for what is none."""
        return self._constants.get(value)

    def find_state(self, name: str) -> Value | None:
        """The state called `name`, if there is one."""
        return next((value for value, _ in self._currents if value.name == name), None)

    def initial(self, state: Value) -> Array:
        """What `state` begins with."""
        return dict(self._currents)[state]

    def following(self, state: Value) -> Value:
        """What `state` becomes, as far as that is known by now."""
        return self._nexts.get(state, state)

    def update_only_if(self, ok: Value) -> None:
        """From here on a state keeps its elements unless the scalar `ok` is 1."""
        self._condition = ok

    def update(self, current: Value, following: Value) -> Value:
        """The state `current` becomes `following` at the end, or, under a condition, what is
        returned."""
        if self._condition is not None:
            following = self.apply("choose", self._condition, following, current)
        self._nexts[current] = following
        return following

    def apply(self, op: str, *operands: Value, **attributes: Any) -> Value:
        """The (only) result of the op named `op`."""
        nest = OPS[op].meaning(*(v.type for v in operands), **attributes)
        return self.nest(nest, *operands, op=op, **attributes)[0]

    def total(self, values: Sequence[Value]) -> Value:
        """The sum of one or more values of one type, in order."""
        return reduce(partial(self.apply, "add"), values)

    def nest(
        self, nest: Nest, *operands: Value, op: str = "nest", **attributes: Any
    ) -> tuple[Value, ...]:
        results = tuple(self._value("v", nest.out_type(out)) for out in nest.outs)
        self._nodes.append(Node(op, nest, operands, results, attributes))
        return results

    def inline(self, graph: Graph, *operands: Value) -> tuple[Value, ...]:
        """The outputs of `graph` applied to `operands`; states that it only reads become states
        here, of the same names."""
        if any(state.next != state.current for state in graph.states):
            raise ValueError("a graph that updates states cannot be inlined")
        known = dict(zip(graph.inputs, operands, strict=True)) | self.states_of(graph)
        known = self.append(graph.nodes, known | self.constants_of(graph))
        return tuple(known[v] for v in graph.outputs)

    def constants_of(self, graph: Graph) -> dict[Value, Value]:
        """The constants of `graph` as ones of this graph."""
        return {v: self.constant(array, v.type.scalar) for v, array in graph.constants.items()}

    def states_of(self, graph: Graph, ending: str = "") -> dict[Value, Value]:
        """The states of `graph` as ones of this graph, whose names have an `ending`."""
        return {
            s.current: self.state(f"{s.current.name}{ending}", s.initial, s.current.type.scalar)
            for s in graph.states
        }

    def append(self, nodes: Iterable[Node], known: Mapping[Value, Value]) -> dict[Value, Value]:
        """Append `nodes` of another graph, of which every value that they read and do not make is
        `known` as one of this; returns all that is known then."""
        values = dict(known)
        for node in nodes:
            operands = tuple(values[v] for v in node.inputs)
            results = self.nest(node.nest, *operands, op=node.op, **node.attributes)
            values |= dict(zip(node.outputs, results, strict=True))
        return values

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes so far."""
        return tuple(self._nodes)

    def output(self, name: str, value: Value) -> None:
        self._outputs[name] = value

    def build(self) -> Graph:
        states = tuple(
            State(current, self._nexts.get(current, current), initial)
            for current, initial in self._currents
        )
        return Graph(
            self._name,
            tuple(self._inputs),
            tuple(self._outputs.values()),
            tuple(self._outputs),
            tuple(self._nodes),
            dict(self._constants),
            states,
            self._finite_inputs,
        )
