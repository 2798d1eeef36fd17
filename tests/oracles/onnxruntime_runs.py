"""onnxruntime as the judge of the files that the compiler writes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

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
        self._dtypes = {
            value.name: helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
            for value in graph.input
        }
        held = [tensor for tensor in graph.initializer if tensor.name in self._dtypes]
        self.defaults = {tensor.name: numpy_helper.to_array(tensor) for tensor in held}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Every output; inputs are converted to the types that the file has."""
        given = {name: np.asarray(array, self._dtypes[name]) for name, array in inputs.items()}
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
