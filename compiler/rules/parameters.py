"""Constants that become parameters: state that inference reads and learning replaces."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph, Node, State, Value
from edgetrain.compiler.ops import OPS
from edgetrain.compiler.rules.update import Range, choose
from edgetrain.compiler.types import Float, TensorType

Array = NDArray[Any]


def with_parameters(graph: Graph, update: str = "all") -> Graph:
    """`graph` with the weights and biases of its linear layers that `update` chooses as states.

    They are named `w0`, `b0`, `w1` … by layer; what is not chosen stays constant.  A constant added
    to what a layer without a bias gives is its bias, and the sum begins with it.  A layer of which
    some output channels are chosen becomes two, whose results are spliced.  Raises InputError where
    there is nothing to learn, where weights are integers, or where the choice cannot be meant.
    """
    graph = _with_biases(graph)
    names = parameter_names(graph)
    if not names:
        raise InputError("the model has no weights to learn")
    if any(not isinstance(value.type.scalar, Float) for value in names):
        raise InputError(
            "a quantised model cannot learn in this precision",
            remedy="make it a float one with --dequantise, or give a float model",
        )
    chosen = choose(update, {name: value.type.shape[-1] for value, name in names.items()})
    constants = dict(graph.constants)
    states: dict[Value, Array] = {}
    trained: dict[Value, Value] = {}
    parts: dict[Value, Range] = {}
    for old, name in names.items():
        if name not in chosen:
            continue
        lo, hi = chosen[name]
        array = constants[old][..., lo:hi]
        new = Value(name, TensorType(array.shape, old.type.scalar))
        states[new] = array
        trained[old] = new
        if new.type != old.type:
            parts[old] = lo, hi
    nodes: list[Node] = []
    for node in graph.nodes:
        spans = {parts[value] for value in node.inputs[1:] if value in parts}
        if node.op == "matmul" and spans:
            (span,) = spans
            nodes += _split(node, span, trained, constants)
        else:
            nodes.append(replace(node, inputs=tuple(trained.get(v, v) for v in node.inputs)))
    read = {value for node in nodes for value in node.inputs} | set(graph.outputs)
    return replace(
        graph,
        nodes=tuple(nodes),
        constants={v: array for v, array in constants.items() if v in read or v not in names},
        states=tuple(State(value, value, array) for value, array in states.items()),
    )


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
