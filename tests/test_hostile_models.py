"""No model file, however malformed, gives anything but a graph or one line of error."""

import re
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.onnx_io.load import import_model
from tests.oracles.hostile import Expected, hostile_models
from tests.oracles.hostile_edits import sound_model, sound_qdq

CASES = [pytest.param(data, expected, id=name) for name, data, expected in hostile_models()]
# What Python and NumPy say to programmers.
INTERNAL = re.compile(
    "out of range|to unpack|broadcast|axes don't|sequence|ratio|argument|NoneType|attribute '|Error"
)
MAX_PEAK_BYTES = 32 * 2**20
MAX_MESSAGE = 500


def outcome(data: bytes, directory: Path) -> tuple[str, str]:
    """What import makes of the bytes, and its message; any other error is the test's failure."""
    path = directory / "model.onnx"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        import_model(path)
        result, message = "accept", ""
    except InputError as error:
        result, message = "refuse", str(error)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MAX_PEAK_BYTES
    assert message.isprintable()
    assert len(message) < MAX_MESSAGE
    return result, message


@pytest.mark.parametrize(("data", "expected"), CASES)
def test_a_hostile_file_does_no_harm(
    data: bytes, expected: Expected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result, message = outcome(data, Path())
    assert expected in ("either", result)
    if result == "refuse":
        assert "model.onnx" in message
        assert not INTERNAL.search(message)


@pytest.mark.parametrize("model", [sound_model(), sound_qdq()], ids=["qonnx", "qdq"])
def test_the_models_that_the_cases_start_from_are_sound(
    model: onnx.ModelProto, tmp_path: Path
) -> None:
    assert outcome(model.SerializeToString(), tmp_path) == ("accept", "")


def test_the_message_names_the_file_in_a_long_path(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 80)
    directory.mkdir()
    assert "model.onnx" in outcome(b"", directory)[1]


def test_a_directory_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.onnx", tmp_path / ("n" * 5000), Path("/dev/null")):
        with pytest.raises(InputError):
            import_model(path)


@pytest.mark.parametrize("name", [b"first", b"input", b"Gemm", b"transB", b"relu.out", b"qonnx"])
def test_texts_that_are_no_utf8_do_no_harm(name: bytes, tmp_path: Path) -> None:
    data = sound_model().SerializeToString()
    assert name in data
    outcome(data.replace(name, b"\xff" * len(name)), tmp_path)


def replaced(data: bytes, at: float, length: int, by: bytes) -> bytes:
    start = int(at * len(data))
    return data[:start] + by + data[start + length :]


edits = st.tuples(
    st.floats(0, 1),
    st.integers(0, 12),
    st.one_of(
        st.binary(max_size=12),
        st.sampled_from([b"\xff" * 9 + b"\x01", b"\x80\x80\x80\x80\x08", b"\x00\x00\xc0\x7f"]),
    ),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(base=st.sampled_from([sound_model(), sound_qdq()]), changes=st.lists(edits, max_size=4))
def test_mutated_bytes_do_no_harm(
    base: onnx.ModelProto, changes: list[tuple[float, int, bytes]]
) -> None:
    data = base.SerializeToString()
    for at, length, by in changes:
        data = replaced(data, at, length, by)
    with tempfile.TemporaryDirectory() as directory:
        outcome(data, Path(directory))


NUMBERS = st.one_of(st.floats(width=32), st.sampled_from([0.0, -0.0, 1e-45, 3.4028235e38, 1.0]))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    base=st.sampled_from([sound_model(), sound_qdq()]),
    changes=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 9), NUMBERS), max_size=3),
)
def test_any_numbers_in_the_tensors_do_no_harm(
    base: onnx.ModelProto, changes: list[tuple[int, int, float]]
) -> None:
    model = onnx.ModelProto.FromString(base.SerializeToString())
    for which, where, value in changes:
        tensor = model.graph.initializer[which % len(model.graph.initializer)]
        array = onnx.numpy_helper.to_array(tensor).copy()
        if array.dtype == np.float32:
            array.flat[where % array.size] = value
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    with tempfile.TemporaryDirectory() as directory:
        outcome(model.SerializeToString(), Path(directory))
