"""onnxruntime as the judge of the files that the compiler writes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

Array = NDArray[Any]


class Runtime:
    """A file that is loaded once; `defaults` are those of its inputs that have one."""

    def __init__(self, model: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # It warns of every state that it is an input with a default.
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self.outputs = [output.name for output in self._session.get_outputs()]
        graph = onnx.load_from_string(model).graph
        given = {value.name for value in graph.input}
        self.defaults = {
            t.name: numpy_helper.to_array(t) for t in graph.initializer if t.name in given
        }

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Every output; integers may be of any type."""
        given = {
            name: np.asarray(array, np.int64 if array.dtype.kind in "iu" else array.dtype)
            for name, array in inputs.items()
        }
        return dict(zip(self.outputs, self._session.run(None, given), strict=True))


def onnxruntime_run(model: bytes, inputs: Mapping[str, Array]) -> dict[str, Array]:
    return Runtime(model).run(inputs)


class Device:
    """A training step that is on file, and its state."""

    def __init__(self, model: bytes) -> None:
        self._runtime = Runtime(model)
        self.state = self._runtime.defaults

    def train_step(self, x: Array, target: Array | int) -> float:
        """One step: the loss before it."""
        inputs = {"x": x, "target": np.asarray(target), **self.state}
        outputs = self._runtime.run(inputs)
        self.state = {name: outputs.get(f"{name}_next", a) for name, a in self.state.items()}
        return float(outputs["loss"])
