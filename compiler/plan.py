"""Graphs to a `Program`: kernels, layouts, in-place updates and addresses."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from edgetrain.compiler.expr import Apply, Dim, Expr, Local
from edgetrain.compiler.graph import Graph, Node, Value
from edgetrain.compiler.interface import InputCode, OutputCode
from edgetrain.compiler.kernel import Target
from edgetrain.compiler.layout import Layout, packed_bits, storage_dtype
from edgetrain.compiler.nest import Nest, axes, elementwise
from edgetrain.compiler.program import Buffer, Call, Entry, Program
from edgetrain.compiler.types import Float, Int, TensorType

ALIGNMENT = 8


def plan(
    graphs: Sequence[Graph],
    target: Target,
    input_code: InputCode,
    output_code: OutputCode,
    metadata: Mapping[str, Any],
) -> Program:
    """Place every value of `graphs` (one an entry) and choose a kernel for every node.

    Raises InputError for arithmetic that the target lacks."""
    shared = _Shared({}, {}, {}, _state_layouts(graphs))
    entries, arena_bytes, bound = [], 0, 0
    for graph in graphs:
        entry, peak, live = _plan_entry(graph, target, shared)
        entries.append(entry)
        arena_bytes, bound = max(arena_bytes, peak), max(bound, live)
    return Program(
        target=target.name,
        buffers=shared.buffers,
        entries=tuple(entries),
        constants=shared.constants,
        initial=shared.initial,
        arena_bytes=arena_bytes,
        arena_bound=bound,
        input_code=input_code,
        output_code=output_code,
        metadata=metadata,
    )


def arena_bytes(graph: Graph) -> int:
    """What `graph` alone needs of an arena."""
    graph = _own_outputs(graph)
    nodes, homes = _place_updates(graph)
    _, peak, _ = _allocate(_arena_layouts(graph, nodes, homes, _state_layouts([graph])), nodes)
    return peak


@dataclass
class _Shared:
    """What the entries of a program have in common."""

    buffers: dict[str, Buffer]
    constants: dict[str, NDArray[Any]]
    initial: dict[str, NDArray[Any]]
    layouts: Mapping[Value, Layout]
    """Of states, in all entries."""

    def constant(self, value: Value, array: NDArray[Any], layout: Layout) -> str:
        """The name of the buffer of `array`; equal constants share one."""
        stored = array.astype(storage_dtype(value.type.scalar))
        for name, known in self.constants.items():
            buffer = self.buffers[name]
            # By bytes: 0.0 and -0.0 are equal numbers and not equal constants.
            if (buffer.type, buffer.layout) == (value.type, layout) and (
                known.tobytes() == stored.tobytes()
            ):
                return name
        name = f"c{len(self.constants)}"
        self.buffers[name] = Buffer(name, value.type, "constant", layout)
        self.constants[name] = stored
        return name


def _plan_entry(graph: Graph, target: Target, shared: _Shared) -> tuple[Entry, int, int]:
    graph = _own_outputs(graph)
    nodes, homes = _place_updates(graph)
    names = {v: f"{graph.name}_{v.name}" for node in nodes for v in node.outputs}
    names |= {v: f"{graph.name}_{v.name}" for v in graph.inputs}
    for value in graph.inputs:
        shared.buffers[names[value]] = Buffer(names[value], value.type, "input")
    for state in graph.states:
        value, name = state.current, state.current.name
        names[value] = name
        shared.buffers[name] = Buffer(name, value.type, "state", shared.layouts[value])
        shared.initial[name] = state.initial.astype(storage_dtype(value.type.scalar))
    for value, array in graph.constants.items():
        names[value] = shared.constant(value, array, _layout(value, nodes))

    arena = _arena_layouts(graph, nodes, homes, shared.layouts)
    offsets, peak, bound = _allocate(arena, nodes)
    for value in (value for node in nodes for value in node.outputs):
        if value in arena:
            buffer = Buffer(names[value], value.type, "arena", arena[value], offsets[value])
        elif value in homes:
            home = homes[value]
            layout = shared.layouts[home]
            buffer = Buffer(names[value], value.type, "state", layout, home=home.name)
        else:
            buffer = Buffer(names[value], value.type, "output")
        shared.buffers[names[value]] = buffer
    calls = []
    for node in nodes:
        target.check(node.nest)
        kernel, nest = target.carried_out(node.nest)
        inputs = tuple(names[v] for v in node.inputs)
        outputs = tuple(names[v] for v in node.outputs)
        calls.append(Call(node.op, nest, kernel, inputs, outputs, _single_turn(node, homes)))
    updates = tuple((state.name, names[value]) for value, state in homes.items())
    entry = Entry(
        graph.name,
        tuple(names[v] for v in graph.inputs),
        tuple(names[v] for v in graph.outputs),
        tuple(v.name for v in graph.inputs),
        graph.output_names,
        tuple(calls),
        updates,
        graph.finite_inputs,
    )
    return entry, peak, bound


def _state_layouts(graphs: Sequence[Graph]) -> dict[Value, Layout]:
    """For all entries one: inference comes first, and where they disagree its folds decide."""
    nodes = [node for graph in graphs for node in graph.nodes]
    states = (state.current for graph in graphs for state in graph.states)
    return {state: _layout(state, nodes) for state in states}


def _arena_layouts(
    graph: Graph,
    nodes: Sequence[Node],
    homes: Mapping[Value, Value],
    states: Mapping[Value, Layout],
) -> dict[Value, Layout]:
    """Of the results that are neither outputs nor overwrite a state."""
    # What is copied into a state lies as it does.
    moving = {state.next: states[state.current] for state in graph.states}
    made = (value for node in nodes for value in node.outputs)
    inner = (value for value in made if value not in homes and value not in graph.outputs)
    return {value: moving.get(value) or _inner_layout(value, nodes) for value in inner}


def _inner_layout(value: Value, nodes: Sequence[Node]) -> Layout:
    """As of constants; a vector of few bits is packed too, where that saves bytes and each of its
    elements is read but once, by maps."""
    bits = packed_bits(value.type.scalar)
    readers = [node for node in nodes if value in node.inputs]
    maps = all(out.fold is None for node in readers for out in node.nest.outs)
    packed = Layout(None, bits)
    if len(value.type.shape) == 1 and bits and maps:
        return packed if aligned_bytes(packed, value) < aligned_bytes(Layout(), value) else Layout()
    return _layout(value, nodes)


def aligned_bytes(layout: Layout, value: Value) -> int:
    """The bytes of `value` in the arena."""
    return -(-layout.bytes(value.type) // ALIGNMENT) * ALIGNMENT


def _layout(value: Value, nodes: Iterable[Node]) -> Layout:
    """Fewest bits, and the folded dim fastest, so that a fold reads whole words; floats as they
    are, since a fold of them goes over several results at once."""
    if isinstance(value.type.scalar, Float):
        return Layout()
    bits = packed_bits(value.type.scalar) if len(value.type.shape) == 2 else None
    for node in nodes:
        for operand, read in zip(node.inputs, node.nest.reads, strict=True):
            if operand != value or len(read.access) != 2:
                continue
            first = read.access[0]
            folded = {d for out in node.nest.outs for d in node.nest.folded_dims(out)}
            if isinstance(first, Dim) and first.name in folded:
                return Layout((1, 0), bits)
    return Layout(None, bits)


def _copy(kind: TensorType) -> Nest:
    return elementwise(axes(kind.shape), lambda x: x, x=kind)


def _own_outputs(graph: Graph) -> Graph:
    """The same graph, but every output is the result of a node, and of its own."""
    computed = {value for node in graph.nodes for value in node.outputs}
    nodes, outputs = list(graph.nodes), list(graph.outputs)
    for position, value in enumerate(outputs):
        if value not in computed or value in outputs[:position]:
            outputs[position] = Value(f"{value.name}_output{position}", value.type)
            nodes.append(Node("copy", _copy(value.type), (value,), (outputs[position],)))
    return replace(graph, nodes=tuple(nodes), outputs=tuple(outputs))


def _place_updates(graph: Graph) -> tuple[list[Node], dict[Value, Value]]:
    """The nodes, and for every value that overwrites a state in place, that state.

    In place is legal where the update reads the old element only at the index that it writes, and
    nobody reads the old state afterwards.  Otherwise a copy at the end moves the value in.
    """
    nodes = list(graph.nodes)
    homes: dict[Value, Value] = {}
    for state in graph.states:
        if state.next == state.current or state.next in homes or state.next in graph.outputs:
            continue
        for position, node in enumerate(nodes):
            if (
                state.next in node.outputs
                and _elementwise(node, state.current, state.next)
                and not any(state.current in later.inputs for later in nodes[position + 1 :])
                and not any(state.current == other.next for other in graph.states)
            ):
                homes[state.next] = state.current
    overwritten = set(homes.values())
    for state in graph.states:
        if state.next != state.current and state.current not in overwritten:
            if any(state.current == other.next for other in graph.states):
                raise ValueError(f"{state.current.name} moves into another state: select it there")
            moved = Value(f"{state.next.name}_{state.current.name}", state.next.type)
            nodes.append(Node("copy", _copy(moved.type), (state.next,), (moved,)))
            homes[moved] = state.current
    return nodes, homes


def _elementwise(node: Node, old: Value, new: Value) -> bool:
    """Whether `new` may overwrite `old` while the node runs: every read of the old element is at
    the index of the new one, and no later result reads it."""
    nest, position = node.nest, node.outputs.index(new)
    out = nest.outs[position]
    if old.type != new.type:
        return False
    index = tuple(Dim(d, nest.sizes[d]) for d in out.dims)
    reads = [r for v, r in zip(node.inputs, nest.reads, strict=True) if v == old]
    later = nest.needed(e for each in nest.outs[position + 1 :] for e in each.expressions)
    return all(read.access == index and read.local not in later for read in reads)


def _single_turn(node: Node, homes: Mapping[Value, Value]) -> tuple[tuple[str, Expr], ...]:
    """The dim of an in-place update that keeps all elements but those at one index."""
    if len(node.outputs) != 1 or node.outputs[0] not in homes:
        return ()
    body = node.nest.outs[0].body
    if not (isinstance(body, Apply) and body.op == "select" and node.nest.outs[0].fold is None):
        return ()
    condition, _, kept = body.args
    old = homes[node.outputs[0]]
    reads = dict(zip((r.local for r in node.nest.reads), node.inputs, strict=True))
    if not (isinstance(kept, Local) and reads.get(kept.name) == old):
        return ()
    if isinstance(condition, Apply) and condition.op == "eq":
        for dim, index in (condition.args, condition.args[::-1]):
            if (
                isinstance(dim, Dim)
                and isinstance(index.type, Int)
                and Int(0, dim.size - 1).holds(index.type)
                and dim.name not in node.nest.depends_on(index)
            ):
                return ((dim.name, index),)
    return ()


def _allocate(
    arena: Mapping[Value, Layout], nodes: Sequence[Node]
) -> tuple[dict[Value, int], int, int]:
    """Offsets in the arena, its size, and the largest live set; greedy, largest first."""
    born: dict[Value, int] = {}
    died: dict[Value, int] = {}
    for turn, node in enumerate(nodes):
        for value in node.outputs:
            if value in arena:
                born[value] = died[value] = turn
        for value in node.inputs:
            if value in born:
                died[value] = turn
    sizes = {v: aligned_bytes(arena[v], v) for v in born}
    offsets: dict[Value, int] = {}
    for value in sorted(born, key=lambda v: (-sizes[v], born[v])):
        taken = sorted(
            (offsets[other], offsets[other] + sizes[other])
            for other in offsets
            if born[other] <= died[value] and born[value] <= died[other]
        )
        offset = 0
        for start, end in taken:
            if offset + sizes[value] <= start:
                break
            offset = max(offset, end)
        offsets[value] = offset
    peak = max((offsets[v] + sizes[v] for v in born), default=0)
    bound = max(
        (sum(sizes[v] for v in born if born[v] <= turn <= died[v]) for turn in range(len(nodes))),
        default=0,
    )
    return offsets, peak, bound
