"""A graph as a standard ONNX file: what onnxruntime executes and Netron draws."""

import numpy as np
from onnx import helper

from edgetrain.compiler.batch import BATCH, LIFTED
from edgetrain.compiler.graph import Graph, Node, Value
from edgetrain.compiler.onnx_io.emitter import Emitter, element_dtype, value_info
from edgetrain.compiler.onnx_io.expansions import EXPANSIONS

OVER_BATCH = {"batch_sum": "ReduceSum", "batch_mean": "ReduceMean"}
OPSET, IR_VERSION = 18, 8
"""The lowest that have all operators in use, for the sake of other people's tools."""


def export_graph(graph: Graph) -> bytes:
    """The file of `graph`, which no pass may have changed: a node is known by its op's name.

    Each input goes by its name; each state is an input with a default, its initial elements, and
    what it becomes the output `<state>_next`.  Integers are INT64.  The same graph gives the same
    bytes.
    """
    e = Emitter()
    names = {value: value.name for value in (*graph.inputs, *graph.constants)}
    names |= {state.current: state.current.name for state in graph.states}
    held = [*graph.constants.items(), *((s.current, s.initial) for s in graph.states)]
    for value, array in held:
        e.tensor(value.name, np.asarray(array, element_dtype(value.type.scalar), order="C"))
    results = list(zip(graph.output_names, graph.outputs, strict=True))
    results += [(f"{s.current.name}_next", s.next) for s in graph.states if s.next != s.current]
    wanted = {value: name for name, value in reversed(results)}
    for node in graph.nodes:
        names |= _expand(e, node, names, wanted)
    for name, value in results:
        if names[value] != name:
            e.rename(names[value], name, since=len(e.nodes))
    inputs = (*graph.inputs, *(state.current for state in graph.states))
    inner = [v for node in graph.nodes for v in node.outputs if v not in wanted]
    proto = helper.make_graph(
        e.nodes,
        graph.name,
        [value_info(v.name, v.type) for v in inputs],
        [value_info(name, value.type) for name, value in results],
        e.tensors,
        value_info=[value_info(names[v], v.type) for v in inner],
    )
    model = helper.make_model(
        proto,
        producer_name="edgetrain",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    return bytes(model.SerializeToString(deterministic=True))


def _expand(
    e: Emitter, node: Node, names: dict[Value, str], wanted: dict[Value, str]
) -> dict[Value, str]:
    """The names of the results of `node`, whose ONNX nodes are appended."""
    e.stem, since = f"{node.outputs[0].name}.{node.op}", len(e.nodes)
    operands = [names[v] for v in node.inputs]
    if node.op in OVER_BATCH:
        made: str | tuple[str, ...] = e.node(
            OVER_BATCH[node.op], *operands, e.integers(0), keepdims=0
        )
    else:
        made = EXPANSIONS[node.op.removesuffix(LIFTED)](e, node, *operands)
    found = {}
    results = (made,) if isinstance(made, str) else made
    for value, result, out in zip(node.outputs, results, node.nest.outs, strict=True):
        if node.op.endswith(LIFTED) and BATCH not in out.dims:
            result = e.node("ReduceSum", result, e.integers(0), keepdims=0)
        found[value] = wanted.get(value, value.name)
        e.rename(result, found[value], since)
    return found
