"""Constants that become parameters: state that inference reads and learning replaces."""

from dataclasses import replace

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph, State, Value
from edgetrain.compiler.types import Float


def with_parameters(graph: Graph) -> Graph:
    """`graph` with the weights and biases of its linear layers as states `w0`, `b0`, `w1` …

    Raises InputError where there is none, or where they are integers.
    """
    names: dict[Value, str] = {}
    layers = [node for node in graph.nodes if node.op == "matmul"]
    for number, node in enumerate(layers):
        for prefix, value in zip("wb", node.inputs[1:], strict=False):
            if value in graph.constants and value not in names:
                names[value] = f"{prefix}{number}"
    if not names:
        raise InputError("the model has no weights to learn")
    if any(not isinstance(value.type.scalar, Float) for value in names):
        raise InputError(
            "a quantised model cannot learn in this precision",
            remedy="give a float model",
        )
    renamed = {value: Value(name, value.type) for value, name in names.items()}
    nodes = tuple(
        replace(node, inputs=tuple(renamed.get(v, v) for v in node.inputs)) for node in graph.nodes
    )
    states = tuple(State(new, new, graph.constants[old]) for old, new in renamed.items())
    constants = {v: array for v, array in graph.constants.items() if v not in names}
    return replace(graph, nodes=nodes, constants=constants, states=states)
