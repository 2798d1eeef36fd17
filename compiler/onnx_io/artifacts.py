"""onnxruntime's training artifacts: a training graph, and its parameters in a checkpoint beside it.

The file's operators work on a batch and are read as what they do to one sample: a product over the
batch is an outer product, a sum over the batch its summand.  Its gradients, read operator by
operator, must be those that back-propagation gives here; then learning needs nothing more of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.autodiff import differentiate
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph, GraphBuilder, Node, Value
from edgetrain.compiler.interface import InputCode, OutputCode
from edgetrain.compiler.onnx_io.checkpoint import read_checkpoint
from edgetrain.compiler.onnx_io.file import FileInput, FileNode, ModelFile, features_of, label
from edgetrain.compiler.onnx_io.reader import Reader, operand
from edgetrain.compiler.onnx_io.tensors import Raw
from edgetrain.compiler.ops.loss import LOSSES
from edgetrain.compiler.types import FLOAT32, TensorType

LOSS = "cross-entropy"
_ACCUMULATOR = "InPlaceAccumulatorV2"
_BUFFER = "_grad.accumulation.buffer"
_INT64, _BOOL = 7, 9
_ACTIVATIONS = ("Relu", "Sigmoid", "Tanh")
"""Of each, onnxruntime's gradient takes what ours does, the other way round."""
_REMEDY = "generate the artifacts of a chain of Gemm and activations, with its cross-entropy"
_GRAPH, _CHECKPOINT = "training_model.onnx", "checkpoint"


@dataclass(frozen=True)
class Parameter:
    """A weight or bias, as the checkpoint has it."""

    name: str
    array: NDArray[np.float32]


@dataclass(frozen=True)
class OverBatch:
    """The sum over the batch of `left`, or of the outer product of `left` and `right`."""

    left: Value
    right: Value | None = None


@dataclass(frozen=True)
class Probabilities:
    """What a SoftmaxCrossEntropyLoss leaves for its gradient."""

    gradient: Value


@dataclass(frozen=True)
class Buffer:
    """Where the gradient of a parameter is accumulated."""

    parameter: str


@dataclass(frozen=True)
class Label:
    """The classes that are to be learnt."""


@dataclass(frozen=True)
class Accumulated:
    """A gradient in its buffer; or the input that says whether to begin that anew."""


def is_training(file: ModelFile) -> bool:
    """Whether it is a training graph."""
    return any(node.op == _ACCUMULATOR for node in file.nodes)


def read_training(file: ModelFile) -> tuple[Graph, InputCode, OutputCode]:
    """The network that the training graph `file` trains by the loss LOSS.

    Raises InputError, also where its gradients are not those of back-propagation.
    """
    path = Path(file.path)
    stem = path.name.removesuffix(_GRAPH) if path.name.endswith(_GRAPH) else ""
    return TrainingReader(file, read_checkpoint(path.with_name(stem + _CHECKPOINT))).read()


class TrainingReader(Reader):
    """Reads one training graph.  `parameters`: weights (K, N) or (N, K), and biases (N)."""

    def __init__(self, file: ModelFile, parameters: Mapping[str, NDArray[np.float32]]) -> None:
        super().__init__(file)
        self._parameters = parameters
        self._builder = GraphBuilder("infer")
        self._constants: dict[str, tuple[Value, bool]] = {}
        self._gradients: dict[str, Value] = {}
        self._trained: Trained | None = None
        self.handlers = {
            "Gemm": self._gemm,
            **dict.fromkeys(_ACTIVATIONS, self._activation),
            **dict.fromkeys((f"{name}Grad" for name in _ACTIVATIONS), self._activation_gradient),
            "SoftmaxCrossEntropyLoss": self._loss,
            "SoftmaxCrossEntropyLossGrad": self._loss_gradient,
            "ReduceSum": self._sum,
            "Identity": lambda node, o: o[0],
            _ACCUMULATOR: self._accumulate,
        }

    def read(self) -> tuple[Graph, InputCode, OutputCode]:
        """The graph of the entry `infer`, and what its input and output mean."""
        sources = {source.name: self._source(source) for source in self.file.inputs}
        inputs = [source for source in sources.values() if isinstance(source, Value)]
        if len(inputs) != 1:
            raise self._refuse(f"{len(inputs)} inputs beside labels and parameters")
        result = self.walk_all(sources)[self.file.output]
        trained = self._trained
        if trained is None or result != trained.loss:
            raise self._refuse("its first output is no SoftmaxCrossEntropyLoss")
        self._check_gradients(trained)
        whole = self._builder.build()
        used = {value for node in trained.forward for value in node.inputs}
        constants = {value: array for value, array in whole.constants.items() if value in used}
        infer = Graph("infer", (inputs[0],), (trained.outputs,), ("y",), trained.forward, constants)
        return infer, InputCode(inputs[0].type), OutputCode(trained.outputs.type)

    def _refuse(self, what: str) -> InputError:
        return InputError(what, where=self.file.path, remedy=_REMEDY)

    def _source(self, source: FileInput) -> Any:
        name = source.name
        if name in self._parameters:
            return Parameter(name, self._parameters[name])
        if name.endswith(_BUFFER) and name.removesuffix(_BUFFER) in self._parameters:
            return Buffer(name.removesuffix(_BUFFER))
        if source.element == _INT64:
            return Label()
        if source.element == _BOOL:
            return Accumulated()
        features = features_of(source, self.file.path)
        return self._builder.input("x", TensorType((features,), FLOAT32))

    def _check_gradients(self, trained: "Trained") -> None:
        """Raise InputError unless every parameter has the gradient that back-propagation gives."""
        b = self._builder
        wrt = {name: value for name, (value, _) in self._constants.items()}
        seeds = {trained.outputs: trained.seed}
        derived = differentiate(b, trained.forward, seeds, wrt.values())
        same = _classes(b.nodes)
        for name, value in wrt.items():
            read = self._gradients.get(name)
            if read is None:
                raise InputError(
                    f"parameter {label(name)} is frozen",
                    where=self.file.path,
                    remedy="generate the artifacts with all parameters trained, and use --update",
                )
            if same.get(read, read) != same.get(derived[value], derived[value]):
                raise self._refuse(f"the gradient of {label(name)} is not that of the loss")

    # Operators

    def _gemm(self, node: FileNode, operands: list[Any]) -> Value | OverBatch:
        attributes, bias = node.attributes, operand(operands, 2)
        trans_a, trans_b = (bool(attributes.get(name, 0)) for name in ("transA", "transB"))
        if attributes.get("alpha", 1.0) != 1 or (bias and attributes.get("beta", 1.0) != 1):
            raise node.refuse("alpha and beta are not supported")
        left = _vector(node, operands[0])
        if trans_a:
            if trans_b or bias:
                raise node.refuse("is no sum over the batch")
            return OverBatch(left, _vector(node, operands[1]))
        weights, transposed = self._parameter(node, operands[1], axes=2, transposed=trans_b)
        back = trans_b != transposed
        if left.type.shape != weights.type.shape[1 if back else 0 :][:1]:
            raise node.refuse(f"weights {weights.type.shape} do not fit {left.type.size} inputs")
        if back and bias is None:
            return self._builder.apply("matmul_t", left, weights)
        if back:
            raise node.refuse("uses its weights in a second way")
        if bias is None:
            return self._builder.apply("matmul", left, weights)
        biases, _ = self._parameter(node, bias, axes=1)
        if biases.type.shape != weights.type.shape[1:]:
            raise node.refuse(f"the bias does not fit weights {weights.type.shape}")
        return self._builder.apply("matmul", left, weights, biases)

    def _parameter(
        self, node: FileNode, tensor: Any, axes: int, transposed: bool = False
    ) -> tuple[Value, bool]:
        """The constant of a parameter, and whether it is the transposed one, as its first user
        has it."""
        if not isinstance(tensor, Parameter) or tensor.array.ndim != axes:
            raise node.refuse("an operand is no parameter of the network")
        if tensor.name not in self._constants:
            array = tensor.array.T if transposed else tensor.array
            constant = self._builder.constant(np.ascontiguousarray(array))
            self._constants[tensor.name] = constant, transposed
        return self._constants[tensor.name]

    def _activation(self, node: FileNode, operands: list[Any]) -> Value:
        return self._builder.apply(node.op.lower(), _vector(node, operands[0]))

    def _activation_gradient(self, node: FileNode, operands: list[Any]) -> Value:
        back, result = (_vector(node, tensor) for tensor in operands)
        if back.type != result.type:
            raise node.refuse(f"{back.type} does not fit {result.type}")
        function = node.op.removesuffix("Grad").lower()
        return self._builder.apply(f"{function}_gradient", result, back)

    def _loss(self, node: FileNode, operands: list[Any]) -> tuple[Value, Probabilities]:
        outputs = _vector(node, operands[0])
        _check_mean(node)
        if not isinstance(operands[1], Label) or self._trained is not None:
            raise node.refuse("is not the one loss of the outputs and the labels")
        entry, forward = LOSSES[LOSS], self._builder.nodes
        target = self._builder.input("target", entry.target_type(outputs.type))
        loss, seed = entry.build(self._builder, outputs, target)
        self._trained = Trained(forward, outputs, loss, seed)
        return loss, Probabilities(seed)

    def _loss_gradient(self, node: FileNode, operands: list[Any]) -> Value:
        factor, probabilities, labels = operands
        _check_mean(node)
        if not isinstance(probabilities, Probabilities) or not isinstance(labels, Label):
            raise node.refuse("is not the gradient of the loss")
        if not isinstance(factor, Raw) or factor.array.size != 1 or factor.array.item() != 1:
            raise node.refuse("scales the loss", "set the learning rate with --lr")
        return probabilities.gradient

    def _sum(self, node: FileNode, operands: list[Any]) -> OverBatch:
        axes = operand(operands, 1)
        first = isinstance(axes, Raw) and axes.array.tolist() == [0]
        if not first or node.attributes.get("keepdims", 1):
            raise node.refuse("is no sum over the batch")
        return OverBatch(_vector(node, operands[0]))

    def _accumulate(self, node: FileNode, operands: list[Any]) -> Accumulated:
        buffer, gradient, reset = operands
        fits = isinstance(buffer, Buffer) and isinstance(gradient, OverBatch)
        if not fits or not isinstance(reset, Accumulated):
            raise node.refuse("accumulates something that is no gradient")
        if buffer.parameter not in self._constants or buffer.parameter in self._gradients:
            raise node.refuse("accumulates a gradient of no parameter, or a second one")
        _, transposed = self._constants[buffer.parameter]
        left, right = gradient.left, gradient.right
        if right is not None:
            rows, columns = (right, left) if transposed else (left, right)
            left = self._builder.apply("outer", rows, columns)
        self._gradients[buffer.parameter] = left
        return Accumulated()


@dataclass(frozen=True)
class Trained:
    """The forward nodes and their end; the loss, and its gradient by that."""

    forward: tuple[Node, ...]
    outputs: Value
    loss: Value
    seed: Value


def _vector(node: FileNode, tensor: Any) -> Value:
    if not isinstance(tensor, Value) or len(tensor.type.shape) != 1:
        raise node.refuse("an activation, or the gradient of one, is needed here")
    return tensor


def _check_mean(node: FileNode) -> None:
    if node.attributes.get("reduction", "mean") != "mean" or "ignore_index" in node.attributes:
        raise node.refuse("is not the mean over the batch", "generate it with the default loss")


def _classes(nodes: tuple[Node, ...]) -> dict[Value, Value]:
    """Of values that are computed alike from the same sources, the first, for each."""
    first: dict[Any, Value] = {}
    same: dict[Value, Value] = {}
    for node in nodes:
        operands = tuple(same.get(value, value) for value in node.inputs)
        for position, value in enumerate(node.outputs):
            key = (node.op, node.nest, operands, position)
            same[value] = first.setdefault(key, value)
    return same
