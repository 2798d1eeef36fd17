"""What FINN takes over computes, in QONNX's own executor, what the device does."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.folding import Folding
from edgetrain.compiler.graph import Graph
from edgetrain.compiler.passes import run_passes
from edgetrain.compiler.rules import Learning
from edgetrain.fpga.finn import FOLDING, MODEL, finn_files
from edgetrain.pipeline import compile_model
from edgetrain.simulator import Simulator
from edgetrain.workloads import find_model
from tests.c.harness import draw, make_program
from tests.rtl.test_unrolled import network

SETTINGS: Mapping[str, Any] = {
    "ram_style": {"auto", "block", "distributed", "ultra"},
    "resType": {"auto", "lut", "dsp"},
    "mem_mode": {"internal_embedded", "internal_decoupled", "external"},
    "runtime_writeable_weights": {0, 1},
}
"""What FINN's matrix-vector unit allows (its node attributes)."""


def assert_equal(graph: Graph, seed: int, samples: int = 20) -> None:
    model = ModelWrapper(onnx.load_from_string(finn_files(graph, {})[MODEL]))
    program = make_program([run_passes(graph)])
    entry, simulator = program.entry("infer"), Simulator(program)
    rng = np.random.default_rng(seed)
    for _ in range(samples):
        x = draw(rng, program.buffers[entry.inputs[0]].type)
        found = execute_onnx(
            model, {"x": x[None].astype(np.float32)}, return_full_exec_context=True
        )
        np.testing.assert_array_equal(found["y"][0], simulator.run("infer", x)[0])
        for name, value in found.items():
            kind = model.get_tensor_datatype(name)
            assert np.all(np.vectorize(kind.allowed)(value)), (name, kind)


@pytest.mark.parametrize("seed", range(6))
def test_random_networks(seed: int) -> None:
    assert_equal(network(seed), seed)


def test_the_shipped_detector() -> None:
    program = compile_model(find_model("can-ids-w2a2"), "host")
    assert_equal(program.sources[0], 1)


@pytest.mark.parametrize("seed", range(3))
def test_what_finn_takes_is_read_again(seed: int, tmp_path: Path) -> None:
    graph = network(seed)
    (tmp_path / "network.onnx").write_bytes(finn_files(graph, {})[MODEL])
    program, again = make_program([run_passes(graph)]), compile_model(tmp_path / "network.onnx")
    rng = np.random.default_rng(seed)
    for _ in range(20):
        x = draw(rng, program.buffers[program.entry("infer").inputs[0]].type)
        found = Simulator(again).run("infer", x)[0]
        np.testing.assert_array_equal(found, Simulator(program).run("infer", x)[0])


def test_weights_that_are_not_of_their_type(tmp_path: Path) -> None:
    model = onnx.load_from_string(finn_files(network(1), {})[MODEL])
    weights = next(t for t in model.graph.initializer if t.name.endswith("weights"))
    halves = numpy_helper.to_array(weights) + np.float32(0.5)
    weights.CopyFrom(numpy_helper.from_array(halves, weights.name))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="not all of their type"):
        compile_model(tmp_path / "m.onnx")


def test_types_and_operators_are_those_that_finn_expects() -> None:
    program = compile_model(find_model("can-ids-w2a2"), "host")
    model = ModelWrapper(onnx.load_from_string(finn_files(program.sources[0], {})[MODEL]))
    assert [n.op_type for n in model.graph.node] == ["MatMul", "MultiThreshold"] * 2 + ["MatMul"]
    assert model.get_tensor_datatype("x") == DataType["BINARY"]
    for node in model.get_nodes_by_op_type("MatMul"):
        assert model.get_tensor_datatype(node.input[1]).is_integer()
    for node in model.get_nodes_by_op_type("MultiThreshold"):
        steps = model.get_initializer(node.input[1]).shape[1]
        assert steps == model.get_tensor_datatype(node.output[0]).get_num_possible_values() - 1


def test_the_folding_configuration_keeps_to_finns_schema() -> None:
    program = compile_model(find_model("can-ids-w2a2"), "host")
    folded = {"matmul_0": Folding(2, 19), "threshold_0": Folding(2, 3), "matmul_1": Folding(4, 8)}
    folded["matmul_2"] = Folding(1, 4)
    table = json.loads(finn_files(program.sources[0], folded)[FOLDING])
    assert list(table) == ["Defaults", "MVAU_hls_0", "MVAU_hls_1", "MVAU_hls_2"]
    for name, settings in list(table.items())[1:]:
        own = folded[f"matmul_{name[-1]}"]
        assert (settings.pop("PE"), settings.pop("SIMD")) == (own.pe, own.simd)
        assert set(settings) == set(SETTINGS)
        assert all(settings[key] in SETTINGS[key] for key in settings)


def test_what_finn_has_no_form_of() -> None:
    how = Learning(precision="integer")
    program = compile_model(find_model("can-ids-w2a2"), "host", learn="sgd", how=how)
    assert finn_files(program.sources[0], {}) == {}
