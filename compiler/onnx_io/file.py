"""Reads an ONNX file as the untrusted bytes that it is: bounded, self-contained, one flat graph."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper

from edgetrain.compiler.errors import InputError

MAX_FILE_BYTES = 128 * 2**20
MAX_NODES = 10_000
MAX_ELEMENTS = 2**24
"""Of one tensor: far beyond any microcontroller, far below any harm."""
MAX_FEATURES = 2**16
IR_VERSIONS = range(3, 15)
OPSETS = range(9, 28)
"""Of ONNX's own operators; what this package reads means the same in all of them."""
METADATA_PREFIX = "edgetrain."
_MAX_LABEL = 60

_DTYPES: dict[int, Any] = {
    onnx.TensorProto.FLOAT: np.float32,
    onnx.TensorProto.INT8: np.int8,
    onnx.TensorProto.UINT8: np.uint8,
    onnx.TensorProto.INT32: np.int32,
    onnx.TensorProto.INT64: np.int64,
}


@dataclass(frozen=True)
class FileNode:
    """One node; `where` names it for messages and never leaves them."""

    op: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    where: str

    def refuse(self, what: str, remedy: str = "") -> InputError:
        return InputError(what, where=self.where, remedy=remedy)


@dataclass(frozen=True)
class FileInput:
    """`element` is ONNX's number of its type; a length is None where the file leaves it open."""

    name: str
    element: int
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class ModelFile:
    """`annotations` are QONNX's data types of tensors, by name."""

    path: str
    inputs: tuple[FileInput, ...]
    outputs: tuple[str, ...]
    annotations: Mapping[str, str]
    nodes: tuple[FileNode, ...]
    constants: Mapping[str, NDArray[Any]]
    metadata: Mapping[str, str]

    @property
    def input(self) -> str:
        return self.inputs[0].name

    @property
    def output(self) -> str:
        return self.outputs[0]

    @property
    def annotation(self) -> str:
        """The data type of the first input; empty where it has none."""
        return self.annotations.get(self.input, "")

    @property
    def features(self) -> int:
        """The length of an input, of one sample."""
        return features_of(self.inputs[0], self.path)

    def check_network(self) -> None:
        """Raise InputError unless it has one input (batch, features) and one output."""
        if len(self.inputs) != 1 or len(self.outputs) != 1:
            raise InputError(
                f"{len(self.inputs)} inputs and {len(self.outputs)} outputs",
                where=self.path,
                remedy="export a model with one input and one output",
            )
        features_of(self.inputs[0], self.path)


def _text(value: str | bytes) -> str:
    """A string of a file; protobuf gives those that are no UTF-8 as bytes."""
    return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")


def label(text: str) -> str:
    """A name from a file, fit for a message: short, and quoted if odd."""
    short = text if len(text) <= _MAX_LABEL else f"{text[:_MAX_LABEL]}…"
    return short if short.isprintable() and short else repr(short)


def read_model_file(path: str | Path) -> ModelFile:
    """Parse and check `path`; raises InputError for anything that is not a sound ONNX model."""
    where = str(path)
    proto = _parse(Path(path), where)
    _check_versions(proto, where)
    graph = proto.graph
    if len(graph.node) > MAX_NODES:
        raise InputError(f"{len(graph.node)} nodes, more than {MAX_NODES}", where=where)
    if proto.functions or graph.sparse_initializer:
        raise InputError(
            "local functions and sparse tensors are not supported",
            where=where,
            remedy="export a flat graph",
        )
    constants: dict[str, NDArray[Any]] = {}
    for tensor in graph.initializer:
        name = _text(tensor.name)
        if name in constants:
            raise InputError(f"two tensors are named {label(name)}", where=where)
        constants[name] = tensor_array(tensor, f"{where}: tensor {label(name)}")
    inputs = [_input(v) for v in graph.input if _text(v.name) not in constants]
    if not inputs or not graph.output:
        raise InputError("no input or no output", where=where, remedy="export it again")
    metadata = {_text(p.key): _text(p.value) for p in proto.metadata_props}
    return ModelFile(
        path=where,
        inputs=tuple(inputs),
        outputs=tuple(_text(v.name) for v in graph.output),
        annotations=_annotations(graph),
        nodes=tuple(_nodes(graph, where)),
        constants=constants,
        metadata={k: v for k, v in metadata.items() if k.startswith(METADATA_PREFIX)},
    )


def _parse(path: Path, where: str) -> onnx.ModelProto:
    try:
        if not path.is_file():
            raise InputError("no such file", where=where, remedy="give the path of an ONNX model")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"more than {MAX_FILE_BYTES} bytes", where=where)
        proto = onnx.ModelProto()
        proto.ParseFromString(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", where=where) from error
    except DecodeError as error:
        raise InputError("not an ONNX model", where=where, remedy="export it again") from error
    if not proto.graph.node:
        raise InputError("not an ONNX model, or an empty one", where=where)
    return proto


def _check_versions(proto: onnx.ModelProto, where: str) -> None:
    if proto.ir_version not in IR_VERSIONS:
        raise InputError(
            f"IR version {proto.ir_version}",
            where=where,
            remedy=f"export with IR version {IR_VERSIONS[0]} to {IR_VERSIONS[-1]}",
        )
    opsets = [o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")]
    if not opsets or any(version not in OPSETS for version in opsets):
        found = ", ".join(map(str, opsets[:3])) or "none"
        raise InputError(
            f"opset {found}", where=where, remedy=f"export with opset {OPSETS[0]} to {OPSETS[-1]}"
        )


def tensor_array(tensor: onnx.TensorProto, where: str) -> NDArray[Any]:
    """The elements of `tensor`, finite, of a type that the compiler knows."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise InputError(
            "external data is refused", where=where, remedy="save the model as a single file"
        )
    dtype = _DTYPES.get(tensor.data_type)
    if dtype is None:
        raise InputError(
            f"element type {tensor.data_type} is not supported",
            where=where,
            remedy="use float32, int8, uint8, int32 or int64",
        )
    size = 1
    for length in tensor.dims:
        size *= length
        if length < 0 or size > MAX_ELEMENTS:
            raise InputError(f"dims {list(tensor.dims)[:8]} are too large", where=where)
    if not size:
        raise InputError("holds no elements", where=where, remedy="export it again")
    try:
        array = numpy_helper.to_array(tensor)
    except Exception as error:  # onnx raises many kinds for inconsistent tensors
        raise InputError("its data does not fit its dims", where=where) from error
    if array.dtype != dtype or array.shape != tuple(tensor.dims):
        raise InputError("its data does not fit its type", where=where)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError("holds NaN or infinity", where=where, remedy="check the training")
    return array


def _input(info: onnx.ValueInfoProto) -> FileInput:
    kind = info.type.tensor_type
    dims = (int(d.dim_value) if d.HasField("dim_value") else None for d in kind.shape.dim)
    return FileInput(_text(info.name), kind.elem_type, tuple(dims))


def features_of(source: FileInput, path: str) -> int:
    """The length of an input of shape (batch, features); InputError for any other."""
    where = f"{path}: input {label(source.name)}"
    if source.element != onnx.TensorProto.FLOAT:
        raise InputError("is not float32", where=where, remedy="export with a float input")
    dims = list(source.shape)
    if len(dims) != 2 or dims[1] is None or not 1 <= dims[1] <= MAX_FEATURES:
        raise InputError(
            f"has shape {dims}", where=where, remedy="export with an input (batch, features)"
        )
    return dims[1]


def _annotations(graph: onnx.GraphProto) -> dict[str, str]:
    """QONNX keeps data types in the graph's quantisation annotations under `finn_datatype`."""
    return {
        _text(annotation.tensor_name): _text(entry.value)
        for annotation in graph.quantization_annotation
        for entry in annotation.quant_parameter_tensor_names
        if entry.key == "finn_datatype"
    }


def _nodes(graph: onnx.GraphProto, path: str) -> Iterator[FileNode]:
    for position, node in enumerate(graph.node):
        op, called = _text(node.op_type), label(_text(node.name)) if node.name else position
        where = f"{path}: node {called} ({label(op)})"
        attributes: dict[str, Any] = {}
        for attribute in node.attribute:
            name = _text(attribute.name)
            if name in attributes:
                raise InputError(f"has two attributes {label(name)}", where=where)
            if attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
                raise InputError("subgraphs are not supported", where=where)
            if attribute.type == onnx.AttributeProto.TENSOR:
                attributes[name] = tensor_array(attribute.t, where)
                continue
            try:
                value = onnx.helper.get_attribute_value(attribute)
            except ValueError as error:
                raise InputError(
                    f"attribute {label(name)} has no known type", where=where
                ) from error
            if isinstance(value, bytes):
                value = value.decode("utf-8", "replace")
            attributes[name] = value
        yield FileNode(
            op,
            _text(node.domain),
            tuple(map(_text, node.input)),
            tuple(map(_text, node.output)),
            attributes,
            where,
        )
