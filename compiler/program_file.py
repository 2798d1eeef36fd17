"""`program.json` and `weights.npz`: a program on disk, whole, versioned and hashed.

docs/program-format.md describes the format; the hash of a program is the SHA-256 of program.json,
which itself holds the SHA-256 of every tensor.
"""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.contract import Contract
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.expr import Apply, Const, Dim, Expr, Local, apply, subexpressions
from edgetrain.compiler.files import npz_bytes, write_whole
from edgetrain.compiler.graph import Value, check_array
from edgetrain.compiler.interface import InputCode, OutputCode
from edgetrain.compiler.layout import Layout
from edgetrain.compiler.nest import ACCUMULATOR, Fold, Nest, Out, Read
from edgetrain.compiler.program import Buffer, Call, Entry, Program
from edgetrain.compiler.types import Float, Int, Scalar, TensorType

FORMAT = "edgetrain-program"
VERSION = 1
PROGRAM_FILE = "program.json"
WEIGHTS_FILE = "weights.npz"


def program_text(program: Program) -> str:
    """The text of program.json: the same program gives the same bytes."""
    return json.dumps(_encode(program), indent=1, ensure_ascii=True) + "\n"


def program_sha256(program: Program) -> bytes:
    return hashlib.sha256(program_text(program).encode()).digest()


def save_program(program: Program, directory: Path) -> None:
    """Write both files into `directory`, the weights first, each whole or not at all."""
    write_whole(directory / WEIGHTS_FILE, npz_bytes(dict(_tensors(program))))
    write_whole(directory / PROGRAM_FILE, program_text(program).encode())


def load_program(directory: Path) -> Program:
    """Read a program; raises InputError where it is absent, malformed, or was changed."""
    where = str(directory)
    remedy = "compile it again"
    try:
        text = (directory / PROGRAM_FILE).read_bytes()
        weights = io.BytesIO((directory / WEIGHTS_FILE).read_bytes())
        archive = np.load(weights, allow_pickle=False)
        arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise InputError(
            f"no {Path(error.filename).name} here",
            where=where,
            remedy="give a directory that `edgetrain compile` made",
        ) from error
    except Exception as error:  # a damaged archive raises many kinds
        raise InputError(f"cannot be read: {error}", where=where, remedy=remedy) from error
    try:
        table = json.loads(text)
        if table["format"] != FORMAT or table["version"] != VERSION:
            raise InputError("is of another format version", where=where, remedy=remedy)
        return _decode(table, arrays)
    except InputError as error:
        if error.where:
            raise
        raise InputError(error.what, where=where, remedy=remedy) from error
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{PROGRAM_FILE} is malformed: {error!r}", where=where, remedy=remedy
        ) from error


def _tensors(program: Program) -> list[tuple[str, NDArray[Any]]]:
    return [*program.constants.items(), *program.initial.items()]


def _digest(array: NDArray[Any]) -> str:
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return hashlib.sha256(little.tobytes()).hexdigest()


# Encoding


def _encode(program: Program) -> dict[str, Any]:
    nests: dict[Nest, int] = {}
    entries = []
    for entry in program.entries:
        calls = [
            {
                "op": call.op,
                "nest": nests.setdefault(call.nest, len(nests)),
                "kernel": call.kernel,
                "inputs": call.inputs,
                "outputs": call.outputs,
                "point": [[name, _expr(index)] for name, index in call.point],
            }
            for call in entry.calls
        ]
        entries.append(
            {
                "name": entry.name,
                "inputs": dict(zip(entry.input_names, entry.inputs, strict=True)),
                "outputs": dict(zip(entry.output_names, entry.outputs, strict=True)),
                "updates": dict(entry.updates),
                "finite_inputs": entry.finite_inputs,
                "calls": calls,
            }
        )
    digests = {name: _digest(array) for name, array in _tensors(program)}
    return {
        "format": FORMAT,
        "version": VERSION,
        "target": program.target,
        "arena": {"bytes": program.arena_bytes, "bound": program.arena_bound},
        "input": {
            "type": _type(program.input_code.type),
            "lowest": program.input_code.lowest,
            "steps": [step.hex() for step in program.input_code.steps],
        },
        "output": {
            "type": _type(program.output_code.type),
            "scales": [str(scale) for scale in program.output_code.scales],
            "offsets": [str(offset) for offset in program.output_code.offsets],
        },
        "metadata": program.metadata,
        "buffers": [_buffer(b, digests.get(b.name, "")) for b in program.buffers.values()],
        "entries": entries,
        "nests": [_nest(nest) for nest in nests],
    }


def _scalar(scalar: Scalar) -> Any:
    return scalar.name if isinstance(scalar, Float) else [scalar.lo, scalar.hi]


def _type(kind: TensorType) -> dict[str, Any]:
    return {"shape": kind.shape, "element": _scalar(kind.scalar)}


def _buffer(buffer: Buffer, digest: str) -> dict[str, Any]:
    table: dict[str, Any] = {"name": buffer.name, "kind": buffer.kind, **_type(buffer.type)}
    table["layout"] = {"order": buffer.layout.order, "bits": buffer.layout.bits}
    table["bytes"] = buffer.bytes
    if buffer.kind == "arena":
        table["offset"] = buffer.offset
    if buffer.home:
        table["home"] = buffer.home
    if digest:
        table["sha256"] = digest
    return table


def _expr(expr: Expr) -> Any:
    """A tree of lists; where nodes have several users, these nodes first, each once."""
    nodes = list(subexpressions(expr))
    uses = Counter(argument for node in nodes if isinstance(node, Apply) for argument in node.args)
    known: dict[Expr, Any] = {}
    shared: list[Any] = []
    for node in nodes:
        if isinstance(node, Apply) and uses[node] > 1:
            shared.append(_tree(node, known))
            known[node] = ["shared", len(known)]
    value = _tree(expr, known)
    return {"shared": shared, "value": value} if shared else value


def _tree(expr: Expr, known: Mapping[Expr, Any]) -> Any:
    if expr in known:
        return known[expr]
    match expr:
        case Const(value, Float(bits)):
            return ["const", bits, float(value).hex()]
        case Const(value, _):
            return value
        case Local(name, _):
            return ["local", name]
        case Dim(name, _):
            return ["dim", name]
        case Apply(op, args, _):
            return [op, *(_tree(a, known) for a in args)]


def _nest(nest: Nest) -> dict[str, Any]:
    return {
        "dims": [list(d) for d in nest.dims],
        "reads": [
            {"local": r.local, "access": [_expr(i) for i in r.access], **_type(r.type)}
            for r in nest.reads
        ],
        "outs": [
            {
                "name": out.name,
                "dims": out.dims,
                "element": _scalar(out.type),
                "fold": _fold(out.fold) if out.fold else None,
                "body": _expr(out.body),
            }
            for out in nest.outs
        ],
    }


def _fold(fold: Fold) -> dict[str, Any]:
    return {
        "op": fold.op,
        "term": _expr(fold.term),
        "init": _expr(fold.init),
        "element": _scalar(fold.type),
        "contract": asdict(fold.contract) if fold.contract else None,
    }


# Decoding


def _decode(table: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Program:
    buffers = {t["name"]: _decode_buffer(t) for t in table["buffers"]}
    constants: dict[str, NDArray[Any]] = {}
    initial: dict[str, NDArray[Any]] = {}
    for entry in table["buffers"]:
        if "sha256" not in entry:
            continue
        name, array = entry["name"], arrays[entry["name"]]
        check_array(Value(name, buffers[name].type), array)
        if _digest(array) != entry["sha256"]:
            raise ValueError(f"{name} is not the tensor that was compiled")
        (constants if entry["kind"] == "constant" else initial)[name] = array
    nests = [_decode_nest(t) for t in table["nests"]]
    source, result = table["input"], table["output"]
    return Program(
        target=_text(table["target"]),
        buffers=buffers,
        entries=tuple(_decode_entry(t, nests) for t in table["entries"]),
        constants=constants,
        initial=initial,
        arena_bytes=_whole(table["arena"]["bytes"]),
        arena_bound=_whole(table["arena"]["bound"]),
        input_code=InputCode(
            _decode_type(source["type"]),
            _whole(source["lowest"]),
            tuple(float.fromhex(step) for step in source["steps"]),
        ),
        output_code=OutputCode(
            _decode_type(result["type"]),
            tuple(Fraction(scale) for scale in result["scales"]),
            tuple(Fraction(offset) for offset in result["offsets"]),
        ),
        metadata=table["metadata"],
    )


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"{value!r} is no whole number")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _decode_scalar(value: Any) -> Scalar:
    if isinstance(value, list):
        lo, hi = map(_whole, value)
        return Int(lo, hi)
    return {"FLOAT16": Float(16), "FLOAT32": Float(32)}[value]


def _decode_type(table: Mapping[str, Any]) -> TensorType:
    shape = tuple(table["shape"])
    if not all(_whole(length) > 0 for length in shape):
        raise ValueError(f"no shape {shape}")
    return TensorType(shape, _decode_scalar(table["element"]))


def _decode_buffer(table: Mapping[str, Any]) -> Buffer:
    order, bits = table["layout"]["order"], table["layout"]["bits"]
    layout = Layout(
        None if order is None else tuple(map(_whole, order)), None if bits is None else _whole(bits)
    )
    return Buffer(
        _text(table["name"]),
        _decode_type(table),
        _text(table["kind"]),
        layout,
        _whole(table.get("offset", 0)),
        _text(table.get("home", "")),
    )


def _decode_entry(table: Mapping[str, Any], nests: list[Nest]) -> Entry:
    calls = []
    for call in table["calls"]:
        nest = nests[call["nest"]]
        scope = _Scope(nest)
        point = tuple((name, scope.expr(index)) for name, index in call["point"])
        operands = tuple(call["inputs"]), tuple(call["outputs"])
        calls.append(Call(_text(call["op"]), nest, _text(call["kernel"]), *operands, point))
    return Entry(
        _text(table["name"]),
        tuple(table["inputs"].values()),
        tuple(table["outputs"].values()),
        tuple(table["inputs"]),
        tuple(table["outputs"]),
        tuple(calls),
        tuple(table["updates"].items()),
        table["finite_inputs"],
    )


class _Scope:
    """Gives names in encoded expressions their types."""

    def __init__(self, nest: Nest | None = None) -> None:
        self.sizes: dict[str, int] = nest.sizes if nest else {}
        self.locals: dict[str, Scalar] = {}
        for read in nest.reads if nest else ():
            self.locals[read.local] = read.type.scalar

    def expr(self, encoded: Any) -> Expr:
        if not isinstance(encoded, dict):
            return self._tree(encoded, [])
        shared: list[Expr] = []
        for tree in encoded["shared"]:
            shared.append(self._tree(tree, shared))
        return self._tree(encoded["value"], shared)

    def _tree(self, tree: Any, shared: list[Expr]) -> Expr:
        if isinstance(tree, int):
            return Const(tree, Int(tree, tree))
        head, *rest = tree
        match head:
            case "const":
                return Const(float.fromhex(rest[1]), Float(rest[0]))
            case "local":
                return Local(rest[0], self.locals[rest[0]])
            case "dim":
                return Dim(rest[0], self.sizes[rest[0]])
            case "shared":
                return shared[_whole(rest[0])]
        return apply(head, *(self._tree(argument, shared) for argument in rest))


def _decode_nest(table: Mapping[str, Any]) -> Nest:
    scope = _Scope()
    dims = tuple((name, size) for name, size in table["dims"])
    scope.sizes = dict(dims)
    reads = []
    for entry in table["reads"]:
        access = tuple(scope.expr(index) for index in entry["access"])
        reads.append(Read(_text(entry["local"]), access, _decode_type(entry)))
        scope.locals[entry["local"]] = reads[-1].type.scalar
    outs = []
    for entry in table["outs"]:
        fold = None
        if entry["fold"] is not None:
            encoded = entry["fold"]
            contract = Contract(**encoded["contract"]) if encoded["contract"] else None
            fold = Fold(
                encoded["op"],
                scope.expr(encoded["term"]),
                scope.expr(encoded["init"]),
                _decode_scalar(encoded["element"]),
                contract,
            )
            scope.locals[ACCUMULATOR] = fold.type
        body = scope.expr(entry["body"])
        element = _decode_scalar(entry["element"])
        outs.append(Out(_text(entry["name"]), tuple(entry["dims"]), element, body, fold))
    return Nest(dims, tuple(reads), tuple(outs))
