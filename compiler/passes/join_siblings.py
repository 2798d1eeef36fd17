"""Joins the update of a layer's weights with the gradient of its input: one look at each weight."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from edgetrain.compiler.expr import Dim, Expr, Local, substitute
from edgetrain.compiler.graph import Graph, Node, State, Value
from edgetrain.compiler.nest import Nest, Out


@dataclass(frozen=True, slots=True)
class JoinSiblings:
    """A map that replaces a state, and a fold that reads the same old state element by element, are
    one nest of two results, where all that the map needs is there when the fold runs.

    Exact: the same primitives on the same numbers.
    """

    name: str = "join-siblings"
    exact: bool = True

    def apply(self, graph: Graph) -> Graph:
        nodes = list(graph.nodes)
        for state in graph.states:
            update = next((n for n in nodes if n.outputs == (state.next,)), None)
            if update is None or update.nest.outs[0].fold is not None:
                continue
            for position, node in enumerate(nodes):
                rest = [n for n in nodes[position + 1 :] if n is not update]
                if any(state.current in n.inputs for n in rest):
                    continue
                known = _known(graph, nodes[:position])
                joined = _join(node, update, state, known) if node is not update else None
                if joined is not None:
                    nodes[position] = joined
                    nodes.remove(update)
                    break
        return graph.with_nodes(nodes, graph.constants)


def _known(graph: Graph, nodes: Collection[Node]) -> set[Value]:
    """Every value that is there once `nodes` have run."""
    return graph.lasting | {value for node in nodes for value in node.outputs}


def _join(node: Node, update: Node, state: State, known: set[Value]) -> Node | None:
    """`node` with `update` as a further result, or None where they do not fit."""
    if any(out.fold is None for out in node.nest.outs) or not known.issuperset(update.inputs):
        return None
    theirs = _place(node, state.current)
    ours = _place(update, state.current)
    (out,) = update.nest.outs
    if theirs is None or ours is None or ours != tuple(Dim(*d) for d in update.nest.dims):
        return None
    if set(theirs) != {Dim(*d) for d in node.nest.dims}:
        return None
    moved: dict[Expr, Expr] = dict(zip(ours, theirs, strict=True))
    reads = list(node.nest.reads)
    inputs = list(node.inputs)
    for read, value in zip(update.nest.reads, update.inputs, strict=True):
        access = tuple(substitute(index, moved) for index in read.access)
        same = [r for r, v in zip(reads, inputs, strict=True) if (v, r.access) == (value, access)]
        if not same:
            same = [replace(read, local=f"u_{read.local}", access=access)]
            reads += same
            inputs.append(value)
        moved[Local(read.local, read.type.scalar)] = same[0].value
    dims = tuple(index.name for index in theirs)
    body = substitute(out.body, moved)
    result = Out(f"u_{out.name}", _renamed(out.dims, update.nest, dims), out.type, body)
    nest = Nest(node.nest.dims, tuple(reads), (*node.nest.outs, result))
    return Node(node.op, nest, tuple(inputs), (*node.outputs, *update.outputs))


def _renamed(dims: tuple[str, ...], nest: Nest, names: tuple[str, ...]) -> tuple[str, ...]:
    new: Mapping[str, str] = dict(zip((name for name, _ in nest.dims), names, strict=True))
    return tuple(new[name] for name in dims)


def _place(node: Node, value: Value) -> tuple[Dim, ...] | None:
    """The dims at which `node` reads `value`, if it reads it once, and by nothing else."""
    found = [r for r, v in zip(node.nest.reads, node.inputs, strict=True) if v == value]
    if len(found) != 1:
        return None
    index = tuple(i for i in found[0].access if isinstance(i, Dim))
    return index if len(index) == len(found[0].access) == len(set(index)) else None
