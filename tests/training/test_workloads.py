"""The reference networks: drawn as they are defined, found by name, measured as they learn."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgetrain.bench import bench, own_samples
from edgetrain.compiler.errors import InputError
from edgetrain.networks import ReferenceNetwork, reference_network
from edgetrain.pipeline import compile_model
from edgetrain.workloads import all_workloads, find_model, model_file

NAME = "mlp-64-32-16-5-fp32"


def network(name: str) -> ReferenceNetwork:
    found = reference_network(name)
    assert found is not None
    assert found.name == name
    return found


def test_the_first_draws_are_those_of_the_generator() -> None:
    """1664525 + 1013904223 = 1015568748, shifted by 8 it is 3967065."""
    samples = network(NAME).samples
    assert samples.shape == (10, 64)
    assert samples[0, 0] == np.float32(3967065 / 2**23 - 1)
    second = (1664525 * 1015568748 + 1013904223) % 2**32
    assert samples[0, 1] == np.float32((second >> 8) / 2**23 - 1)


def test_weights_continue_where_the_samples_end() -> None:
    state, draws = 1, []
    for _ in range(10 * 40 + 40 * 64 + 64 * 32 + 32 * 5):
        state = (1664525 * state + 1013904223) % 2**32
        draws.append(np.float32((state >> 8) / 2**23 - 1))
    expected = np.array(draws, np.float32)
    tensors = {
        t.name: numpy_helper.to_array(t)
        for t in network("mlp-40-64-32-5-fp32").model().graph.initializer
    }
    at = 400
    for name, scale in (("w0", 1 / 8), ("w1", 1 / 8), ("w2", 1 / 4)):
        flat = tensors[name].ravel()
        np.testing.assert_array_equal(flat, expected[at : at + flat.size] * np.float32(scale))
        at += flat.size
    assert at == len(draws)
    assert not any(tensors[name].any() for name in ("b0", "b1", "b2"))


def test_powers_of_two_are_the_steps_of_their_file() -> None:
    found = network("mlp-64-32-16-5-pow2a4")
    assert found.learning.precision == "pow2"
    tensors = {t.name: numpy_helper.to_array(t) for t in found.model().graph.initializer}
    for layer in range(3):
        steps = tensors[f"w{layer}"] / tensors[f"w{layer}_step"]
        assert set(np.abs(steps).ravel()) <= {0, *(2**k for k in range(7))}
        assert tensors[f"w{layer}_bits"] == 8


def test_a_quantised_network_meets_its_samples_as_codes() -> None:
    found = network("mlp-64-32-16-5-w4a4")
    with model_file(found.name) as path:
        program = compile_model(path, learn="sgd", how=found.learning)
    series = own_samples(program, found, "train_step", 10).series
    packed = [data for each in series if each.entry == "train_step" for data in each.inputs]
    codes = np.stack([np.frombuffer(data[:64], np.int8) for data in packed])
    np.testing.assert_array_equal(codes, np.clip(np.rint(found.samples * 128), -127, 127))


@pytest.mark.parametrize(
    "name", ["mlp-5-fp32", "mlp-0-3-fp32", "mlp-3-4-fp64", "mlp-3-04-fp32", "mlp-1000-2-fp32"]
)
def test_other_names_are_none(name: str) -> None:
    assert reference_network(name) is None
    with pytest.raises(InputError, match=f"no such file or workload.*{NAME}"), model_file(name):
        pass


def test_a_reference_network_is_no_file() -> None:
    with pytest.raises(InputError, match="no such file"):
        find_model(NAME)
    with model_file(NAME) as path:
        onnx.checker.check_model(onnx.load(path))
    assert not path.exists()
    assert (NAME, "train") in {(w.name, w.phase) for w in all_workloads()}


@pytest.mark.parametrize("phase", ["infer", "train"])
def test_bench_measures_either_phase(phase: str) -> None:
    report = bench("mlp-7-5-3-fp32", phase=phase, samples=12)
    assert (report.phase, report.samples, report.bit_exact) == (phase, 12, True)
    forward = 7 * 5 + 5 * 3
    # Backward through the second layer alone, and the update of both.
    assert report.macs == (forward if phase == "infer" else forward + 5 * 3 + forward)
    assert report.weights_bytes == 4 * (forward + 5 + 3)


def test_a_workload_is_measured_as_what_it_is_for() -> None:
    assert bench("mlp-7-5-3-fp32", samples=1).phase == "train"
    with pytest.raises(InputError, match="unknown phase"):
        bench("mlp-7-5-3-fp32", phase="dream")
