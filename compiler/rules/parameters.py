"""Constants that become parameters: state that inference reads and learning replaces."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph, Node, State, Value
from edgetrain.compiler.learnable import Quantisation
from edgetrain.compiler.ops import OPS
from edgetrain.compiler.rules.network import Network
from edgetrain.compiler.rules.update import Range, choose
from edgetrain.compiler.types import Float, TensorType

Array = NDArray[Any]


def with_parameters(
    graph: Graph, update: str = "all", quantisation: Quantisation | None = None
) -> Network:
    """`graph` with the parameters of its layers that `update` chooses as states.

    They are named `w0`, `b0`, `w1` … by layer; what is not chosen stays constant.  A constant added
    to what a layer without a bias gives is its bias, and the sum begins with it.  A layer of which
    some output channels are chosen becomes two, whose results are spliced.  Of a graph of integers,
    `quantisation` says which can learn.  Raises InputError where there is nothing to learn, or
    where the choice cannot be meant.
    """
    learnable = {} if quantisation is None else quantisation.learnable
    graph, names = named_parameters(graph, quantisation)
    if not names:
        raise InputError("the model has no weights to learn")
    chosen = choose(update, {name: value.type.shape[-1] for value, name in names.items()})
    spans = {value: chosen[name] for value, name in names.items() if name in chosen}
    constants = dict(graph.constants)
    trained = {value: _part(names[value], constants[value], value, spans[value]) for value in spans}
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes += _over_states(node, spans, trained, constants)
    read = {value for node in nodes for value in node.inputs} | set(graph.outputs)
    states = {state.current: state for state in trained.values()}
    return Network(
        graph.name,
        graph.inputs,
        graph.outputs,
        graph.output_names,
        tuple(nodes),
        {v: array for v, array in constants.items() if v in read or v not in names},
        tuple(states.values()),
        graph.finite_inputs,
        {trained[v].current: learnable[v].part(*spans[v]) for v in spans if v in learnable},
        {} if quantisation is None else quantisation.scales,
    )


def named_parameters(
    graph: Graph, quantisation: Quantisation | None
) -> tuple[Graph, dict[Value, str]]:
    """`graph` with a bias as part of its layer, and the constants that can learn, by name."""
    if quantisation is not None:
        return graph, {value: each.name for value, each in quantisation.learnable.items()}
    graph = _with_biases(graph)
    return graph, parameter_names(graph)


def _part(name: str, array: Array, value: Value, span: Range) -> State:
    """The output channels `span` of a constant as a state."""
    part = array[..., slice(*span)]
    current = Value(name, TensorType(part.shape, value.type.scalar))
    return State(current, current, part)


def _over_states(
    node: Node,
    spans: Mapping[Value, Range],
    trained: Mapping[Value, State],
    constants: dict[Value, Array],
) -> list[Node]:
    """`node` over states instead of constants; constants of which only a part is trained are taken
    apart, their rests added to `constants`."""
    parts = [v for v in node.inputs if v in trained and trained[v].current.type != v.type]
    if node.op == "matmul" and parts:
        states = {value: trained[value].current for value in node.inputs if value in trained}
        return _split(node, spans[parts[0]], states, constants)
    nodes, inputs = [], []
    for value in node.inputs:
        state = trained.get(value)
        inputs.append(value if state is None else state.current)
        if state is not None and value in parts:
            lo, hi = spans[value]
            frozen = np.delete(constants[value], slice(lo, hi), axis=-1)
            rest = _constant(f"{value.name}_frozen", frozen, value, constants)
            inputs[-1] = Value(f"{value.name}_whole", value.type)
            nest = OPS["splice"].meaning(rest.type, state.current.type, at=lo)
            operands = rest, state.current
            nodes.append(Node("splice", nest, operands, (inputs[-1],), {"at": lo}))
    return [*nodes, replace(node, inputs=tuple(inputs))]


def _with_biases(graph: Graph) -> Graph:
    """`graph` with matmul(x, w)·1 + b as matmul(x, w, b), where nothing else reads the product."""
    nodes = list(graph.nodes)
    for node in graph.nodes:
        layer = next((n for n in nodes if n.op == "matmul" and n.outputs[0] in node.inputs), None)
        if node.op != "affine" or layer is None or len(layer.inputs) != 2:
            continue
        (product,), (x, factor, bias) = layer.outputs, node.inputs
        readers = [n for n in graph.nodes if product in n.inputs]
        ones = factor in graph.constants and bool((graph.constants[factor] == 1).all())
        floats = all(isinstance(v.type.scalar, Float) for v in (*layer.inputs, bias))
        if x == product and readers == [node] and product not in graph.outputs and ones and floats:
            operands = (*layer.inputs, bias)
            nest = OPS["matmul"].meaning(*(v.type for v in operands), **layer.attributes)
            whole = Node("matmul", nest, operands, node.outputs, layer.attributes)
            nodes[nodes.index(node)] = whole
            nodes.remove(layer)
    read = {value for node in nodes for value in node.inputs} | set(graph.outputs)
    return graph.with_nodes(nodes, {v: a for v, a in graph.constants.items() if v in read})


def parameter_names(graph: Graph) -> dict[Value, str]:
    """The constants that are weights and biases of linear layers, and their names by layer."""
    names: dict[Value, str] = {}
    layers = [node for node in graph.nodes if node.op == "matmul"]
    for number, node in enumerate(layers):
        for prefix, value in zip("wb", node.inputs[1:], strict=False):
            if value in graph.constants and value not in names:
                names[value] = f"{prefix}{number}"
    return names


def _split(
    node: Node, span: Range, trained: Mapping[Value, Value], constants: dict[Value, Array]
) -> list[Node]:
    """A linear layer as its frozen channels, its trained ones, and their splice; the constants of
    the frozen are added to `constants`."""
    lo, hi = span
    x, *parameters = node.inputs
    (y,) = node.outputs
    halves: list[list[Value]] = [[], []]
    for value in parameters:
        array = constants[value]
        frozen = np.concatenate([array[..., :lo], array[..., hi:]], axis=-1)
        halves[0].append(_constant(f"{value.name}_frozen", frozen, value, constants))
        if value in trained:
            halves[1].append(trained[value])
        else:
            part = array[..., lo:hi]
            halves[1].append(_constant(f"{value.name}_part", part, value, constants))
    nodes, results = [], []
    for name, half in zip(("frozen", "trained"), halves, strict=True):
        nest = OPS["matmul"].meaning(x.type, *(v.type for v in half), **node.attributes)
        results.append(Value(f"{y.name}_{name}", nest.out_type(nest.outs[0])))
        nodes.append(Node("matmul", nest, (x, *half), (results[-1],), node.attributes))
    nest = OPS["splice"].meaning(*(v.type for v in results), at=lo)
    return [*nodes, Node("splice", nest, tuple(results), (y,), {"at": lo})]


def _constant(name: str, array: Array, like: Value, constants: dict[Value, Array]) -> Value:
    value = Value(name, TensorType(array.shape, like.type.scalar))
    constants[value] = array
    return value
