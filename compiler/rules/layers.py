"""A network as a chain of linear layers, each with what follows it."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph, Node, Value

LINEAR = ("matmul", "splice", "affine")


@dataclass(frozen=True)
class Layer:
    """A linear layer and what follows up to the next; all values are the network's.

    `linear` leads from `input` to the weighted sums `sums`: its matmul, or the two of a layer of
    which a part learns and their splice, and the gains and biases behind it; in the first layer
    also what the network does before.
    `activation` leads from there to `output`, which may be `sums` itself.  `states`: those that
    either reads.
    """

    linear: tuple[Node, ...]
    activation: tuple[Node, ...]
    input: Value
    sums: Value
    output: Value
    states: tuple[Value, ...]

    @property
    def nodes(self) -> tuple[Node, ...]:
        return self.linear + self.activation


def layers_of(graph: Graph) -> tuple[Layer, ...]:
    """The layers of `graph` in order.  Raises InputError unless each reads the one before, and
    nothing else of the network."""
    starts: list[int] = []
    for position, node in enumerate(graph.nodes):
        if node.op == "matmul" and not (
            starts and node.inputs[0] == graph.nodes[starts[-1]].inputs[0]
        ):
            starts.append(position)
    inputs = [graph.inputs[0], *(graph.nodes[start].inputs[0] for start in starts[1:])]
    ends = [*inputs[1:], graph.outputs[0]]
    spans = zip([0, *starts[1:]], [*starts[1:], len(graph.nodes)], strict=True)
    return tuple(
        _layer(graph, graph.nodes[start:end], first, last)
        for (start, end), first, last in zip(spans, inputs, ends, strict=True)
    )


def _layer(graph: Graph, nodes: Sequence[Node], first: Value, last: Value) -> Layer:
    made = {value for node in nodes for value in node.outputs}
    read = {value for node in nodes for value in node.inputs}
    states = tuple(state.current for state in graph.states if state.current in read)
    if last not in made or not read <= {first, *made, *states, *graph.constants}:
        raise InputError(
            "the network is not a chain of linear layers",
            remedy="learn by back-propagation: sgd, momentum or adam",
        )
    end = 1 + max(i for i, node in enumerate(nodes) if node.op in LINEAR)
    (sums,) = nodes[end - 1].outputs
    return Layer(tuple(nodes[:end]), tuple(nodes[end:]), first, sums, last, states)
