"""onnxruntime's training artifacts: read, they train as onnxruntime and as our own gradients do."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.onnx_io.load import import_model
from edgetrain.compiler.rules import Learning
from edgetrain.pipeline import Program, compile_model
from tests.test_hostile_models import outcome, replaced
from tests.training.fixtures.make_ort_artifacts import OUTPUT, RATE, SAMPLES, STEPS, network

GRAPH = OUTPUT / "training_model.onnx"
CHECKPOINT = (OUTPUT / "checkpoint").read_bytes()


def program(path: Path, batch: int = 1) -> Program:
    return compile_model(path, learn="sgd", how=Learning(rate=RATE, batch=batch))


def rows(step: int, batch: int) -> Any:
    found = np.arange(step * batch, (step + 1) * batch) % SAMPLES
    return found if batch > 1 else found[0]


@pytest.mark.parametrize("batch", STEPS)
def test_it_trains_as_onnxruntime_does(batch: int) -> None:
    expected = np.load(OUTPUT / "expected.npz")
    simulator = program(GRAPH, batch).simulator()
    for step in range(STEPS[batch]):
        at = rows(step, batch)
        loss = simulator.train_step(expected["x"][at], expected["labels"][at])
        # Hundreds of roundings of 2^-24, of which learning amplifies some: 2.4e-6 is found.
        assert loss == pytest.approx(float(expected[f"losses_{batch}"][step]), abs=1e-5)
    for name, array in simulator.state.items():
        right = expected[f"{name}_{batch}"]
        if name in ("w0", "w2"):
            right = right.T
        np.testing.assert_allclose(array, right, atol=1e-5, rtol=0, err_msg=name)


def test_it_trains_as_the_network_alone_does(tmp_path: Path) -> None:
    onnx.save(network(), tmp_path / "net.onnx")
    simulators = [program(path).simulator() for path in (GRAPH, tmp_path / "net.onnx")]
    expected = np.load(OUTPUT / "expected.npz")
    for step in range(20):
        at = rows(step, 1)
        losses = [s.train_step(expected["x"][at], expected["labels"][at]) for s in simulators]
        assert losses[0] == losses[1]
    read, own = (simulator.state for simulator in simulators)
    assert read.keys() == own.keys()
    assert all(np.array_equal(read[name], own[name]) for name in own)
    left, right = (simulator.infer(expected["x"]) for simulator in simulators)
    assert np.array_equal(left, right)


def node(model: onnx.ModelProto, result: str) -> Any:
    return next(node for node in model.graph.node if result in node.output)


def attribute(node: Any, name: str) -> Any:
    return next(attribute for attribute in node.attribute if attribute.name == name)


def other_relu(model: onnx.ModelProto) -> None:
    """The gradient through a Relu of something else."""
    node(model, "z0_grad").input[1] = "z0"


def swapped_gradients(model: onnx.ModelProto) -> None:
    node(model, "w0_grad.accumulation.out").input[1] = "w1_grad"


def scaled_product(model: onnx.ModelProto) -> None:
    attribute(node(model, "w1_grad"), "alpha").f = 0.5


def scaled_loss(model: onnx.ModelProto) -> None:
    (seed,) = (t for t in model.graph.initializer if t.name == "onnx::loss::2_grad")
    seed.CopyFrom(onnx.numpy_helper.from_array(np.array(2, np.float32), seed.name))


def summed_loss(model: onnx.ModelProto) -> None:
    attribute(node(model, "onnx::loss::2"), "reduction").s = b"sum"


def frozen(model: onnx.ModelProto) -> None:
    model.graph.node.remove(node(model, "b0_grad.accumulation.out"))


def other_axis(model: onnx.ModelProto) -> None:
    for tensor in model.graph.initializer:
        if tensor.name.endswith("dC_reduced"):
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.array([1]), tensor.name))


def unknown(model: onnx.ModelProto) -> None:
    node(model, "z0_grad").op_type = "GeluGrad"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (other_relu, "the gradient of .0 is not that of the loss"),
        (swapped_gradients, "the gradient of w0 is not that of the loss"),
        (scaled_product, "alpha and beta"),
        (scaled_loss, "scales the loss"),
        (summed_loss, "not the mean"),
        (frozen, "parameter b0 is frozen"),
        (other_axis, "no sum over the batch"),
        (unknown, "is not supported"),
    ],
)
def test_what_trains_otherwise_is_refused(
    edit: Callable[[onnx.ModelProto], None], message: str, tmp_path: Path
) -> None:
    model = onnx.load(GRAPH)
    edit(model)
    onnx.save(model, tmp_path / "training_model.onnx")
    (tmp_path / "checkpoint").write_bytes(CHECKPOINT)
    with pytest.raises(InputError, match=message) as caught:
        import_model(tmp_path / "training_model.onnx")
    assert "training_model.onnx" in str(caught.value)


def test_another_loss_and_a_missing_checkpoint_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cross-entropy"):
        compile_model(GRAPH, learn="sgd", how=Learning(loss="hinge"))
    (tmp_path / "training_model.onnx").write_bytes(GRAPH.read_bytes())
    with pytest.raises(InputError, match="checkpoint"):
        import_model(tmp_path / "training_model.onnx")


def test_the_checkpoint_of_a_prefix_is_found(tmp_path: Path) -> None:
    (tmp_path / "net_training_model.onnx").write_bytes(GRAPH.read_bytes())
    (tmp_path / "net_checkpoint").write_bytes(CHECKPOINT)
    import_model(tmp_path / "net_training_model.onnx")


def test_every_cut_of_the_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(GRAPH.read_bytes())
    # Its last two bytes end and pad a name.
    for length in range(len(CHECKPOINT) - 2):
        (tmp_path / "checkpoint").write_bytes(CHECKPOINT[:length])
        with pytest.raises(InputError):
            import_model(tmp_path / "model.onnx")


edits = st.tuples(
    st.floats(0, 1),
    st.integers(0, 8),
    st.one_of(st.binary(max_size=8), st.sampled_from([b"\xff" * 4, b"\xff\xff\xff\x7f", bytes(8)])),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(in_checkpoint=st.booleans(), changes=st.lists(edits, min_size=1, max_size=4))
def test_mutated_bytes_do_no_harm(
    in_checkpoint: bool, changes: list[tuple[float, int, bytes]]
) -> None:
    graph, checkpoint = GRAPH.read_bytes(), CHECKPOINT
    for change in changes:
        if in_checkpoint:
            checkpoint = replaced(checkpoint, *change)
        else:
            graph = replaced(graph, *change)
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "checkpoint").write_bytes(checkpoint)
        outcome(graph, Path(directory))
