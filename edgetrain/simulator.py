"""Runs a `Program` in NumPy: the reference that every target equals bit for bit.

It knows values, not addresses, so that an error of the memory plan shows as a mismatch.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Value, check_array
from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.ops.fixed_loss import LOSS_FRACTION
from edgetrain.compiler.program import Entry, Program
from edgetrain.compiler.types import Float, Int
from edgetrain.executor import CHUNK, NestExecutor, Tensor

Array = NDArray[Any]


class Simulator:
    """A fresh device: `state` begins as the program says."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.state: dict[str, Array] = {}
        self._values: Array | None = None
        self._constants = {name: Tensor(a, False) for name, a in program.constants.items()}
        self._executors: dict[str, list[NestExecutor]] = {}
        for entry in program.entries:
            executors = []
            for call in entry.calls:
                fixed = {
                    i: program.constants[name]
                    for i, name in enumerate(call.inputs)
                    if name in program.constants
                }
                executors.append(NestExecutor(call.nest, fixed))
            self._executors[entry.name] = executors
        self.reset()

    def reset(self) -> None:
        """Back to the initial state, as `et_init` does."""
        self.state = {name: array.copy() for name, array in self.program.initial.items()}

    def load_state(self, tensors: Mapping[str, Array]) -> None:
        """Replace the whole state; raises InputError, changing nothing, unless it fits exactly."""
        if tensors.keys() != self.state.keys():
            odd = sorted(tensors.keys() ^ self.state.keys())
            raise InputError(f"state tensors differ: {', '.join(odd)}", remedy="export it anew")
        for name, array in tensors.items():
            try:
                check_array(Value(name, self.program.buffers[name].type), array)
            except ValueError as error:
                raise InputError(str(error), remedy="export the state anew") from error
        self.state = {
            name: array.astype(self.state[name].dtype, copy=True) for name, array in tensors.items()
        }

    def infer(self, x: Array, *, raw: bool = False) -> Array:
        """Outputs (batch, outputs) of `x` (batch, features) in the model file's domains.

        With `raw` the integers that the device holds.  Raises InputError for input that the model
        cannot take.
        """
        x = np.asarray(x)
        if x.ndim != 2 or x.shape[0] == 0:
            raise InputError(
                f"the input has shape {x.shape}",
                remedy=f"give (batch, {self.program.input_code.type.size}), not empty",
            )
        results = []
        for start in range(0, len(x), CHUNK):
            codes = self.program.input_code.encode(x[start : start + CHUNK])
            (outputs,) = self.run_batch("infer", codes)
            results.append(outputs if raw else self._decode(outputs))
        return results[0] if len(results) == 1 else np.concatenate(results)

    def _decode(self, codes: Array) -> Array:
        """The outputs that `codes` mean; where they are few, by a table of all of them."""
        code = self.program.output_code
        scalar = code.type.scalar
        if len(code.scales) != 1 or not isinstance(scalar, Int) or scalar.hi - scalar.lo >= 2**16:
            return code.decode(codes)
        if self._values is None:
            self._values = code.decode(np.arange(scalar.lo, scalar.hi + 1))
        return np.take(self._values, codes.astype(np.intp) - scalar.lo)

    def run_batch(self, name: str, *inputs: Array) -> tuple[Array, ...]:
        """Run the stateless entry `name` on inputs that have a leading batch axis, codes in and
        codes out."""
        entry = self.program.entry(name)
        if entry.updates:
            raise InputError(f"entry {name} has state", remedy="run it one sample at a time")
        inputs = self._elements(entry, inputs)
        values = self._execute(entry, [Tensor.samples(array) for array in inputs])
        batch = len(inputs[0])
        results = []
        for output in entry.outputs:
            array = values[output].by_sample()
            if not values[output].batched:
                array = np.broadcast_to(array, (batch, *array.shape))
            results.append(array)
        return tuple(results)

    def run(self, name: str, *inputs: Array) -> tuple[Array, ...]:
        """Run the entry `name` once, codes in and codes out, and take its updates of the state."""
        entry = self.program.entry(name)
        inputs = self._elements(entry, inputs)
        values = self._execute(entry, [Tensor(array, False) for array in inputs])
        for state, following in entry.updates:
            self.state[state] = values[following].array
        return tuple(values[output].array for output in entry.outputs)

    def train_step(self, x: Array, target: ArrayLike) -> float:
        """One learning step on a sample `x` (features) and its target, or on a batch of them with
        the samples as first axis: the loss before it, of a batch the mean.

        Raises InputError, changing nothing, for input that the device refuses, or where the
        program does not learn.
        """
        if all(entry.name != "train_step" for entry in self.program.entries):
            raise InputError("the program does not learn", remedy="compile it with learn='sgd'")
        (loss,) = self.run("train_step", np.asarray(x), np.asarray(target))
        return float(loss) if loss.dtype.kind == "f" else float(loss) * 2.0**-LOSS_FRACTION

    def _elements(self, entry: Entry, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        """`inputs` in the types of the device; what it refuses, changing nothing, is refused."""
        found = []
        for label, name, given in zip(entry.input_names, entry.inputs, inputs, strict=True):
            scalar, array = self.program.buffers[name].type.scalar, np.asarray(given)
            if isinstance(scalar, Int) and not _within(array, scalar):
                raise InputError(
                    f"input {label} is out of range", remedy=f"give {scalar.lo} to {scalar.hi}"
                )
            # A float too large for its type becomes infinite.
            with np.errstate(over="ignore"):
                found.append(array.astype(storage_dtype(scalar), copy=False))
            if (
                entry.finite_inputs
                and isinstance(scalar, Float)
                and not np.isfinite(found[-1]).all()
            ):
                raise InputError(
                    f"input {label} holds NaN or infinity", remedy="give finite numbers"
                )
        return tuple(found)

    def _execute(self, entry: Entry, inputs: list[Tensor]) -> dict[str, Tensor]:
        values = dict(self._constants)
        values |= {name: Tensor(array, False) for name, array in self.state.items()}
        for name, tensor in zip(entry.inputs, inputs, strict=True):
            kind = self.program.buffers[name].type
            if tensor.array.shape[: tensor.array.ndim - tensor.batched] != kind.shape:
                raise InputError(f"input {name} has shape {tensor.array.shape}, not {kind}")
            values[name] = tensor
        # Infinities and NaN are results like any other, as on the target.
        with np.errstate(all="ignore"):
            for call, executor in zip(entry.calls, self._executors[entry.name], strict=True):
                results = executor([values[operand] for operand in call.inputs])
                values |= dict(zip(call.outputs, results, strict=True))
        return values


def _within(array: Array, scalar: Int) -> bool:
    return not array.size or (int(array.min()) in scalar and int(array.max()) in scalar)
