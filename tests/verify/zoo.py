"""One program that holds a model of every kind as an entry each, so that a board is built once."""

from dataclasses import fields, replace
from pathlib import Path

import onnx

from edgetrain.board import Board
from edgetrain.can.deploy import can_frame_graph
from edgetrain.can.table import read_can_model
from edgetrain.compiler.graph import Graph
from edgetrain.compiler.interface import InputCode, OutputCode
from edgetrain.compiler.kernel import Target
from edgetrain.compiler.onnx_io.load import import_model
from edgetrain.compiler.passes import run_passes
from edgetrain.compiler.plan import plan
from edgetrain.compiler.program import Program as CompiledProgram
from edgetrain.pipeline import Program
from edgetrain.workloads import find_model
from tests.oracles.models import random_float, random_qdq, random_qonnx

DETECTOR = "can-ids-w2a2"


def model_graphs(scratch: Path) -> list[Graph]:
    """QONNX (one built for ties), QDQ, float, and the detector with its front end."""
    models = {
        "qonnx_ties": random_qonnx(4),
        "qonnx": random_qonnx(7),
        "qdq": random_qdq(1),
        "fp32": random_float(1),
    }
    graphs = []
    for name, generated in models.items():
        path = scratch / f"{name}.onnx"
        onnx.save(generated.model, str(path))
        graphs.append(replace(run_passes(import_model(path).graph), name=name))
    imported = import_model(find_model(DETECTOR))
    can = read_can_model(imported.metadata)
    assert can is not None
    return [*graphs, run_passes(can_frame_graph(imported, can))]


def make_program(graphs: list[Graph], board: Board) -> Program:
    """The program of `graphs`, one an entry, as a compile would make it."""
    kind = graphs[0].outputs[0].type
    target = Target(board.name, frozenset(board.features))
    compiled = plan(graphs, target, InputCode(kind), OutputCode(kind), {})
    return Program(**{f.name: getattr(compiled, f.name) for f in fields(CompiledProgram)})
