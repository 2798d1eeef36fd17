"""A circuit behind the link server: what the simulator's adapter must know of it, as C++."""

from collections.abc import Iterable, Sequence

import numpy as np

from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.program import Buffer, Program
from edgetrain.compiler.types import Int
from edgetrain.kernels.rtl.engine import Engine, Stream, Tensor
from edgetrain.kernels.rtl.registers import (
    READ_COMMAND,
    REGISTERS,
    RESET_COMMAND,
    WRITE_COMMAND,
)


def print_adapter(program: Program, engine: Engine, sha256: bytes, version: str) -> str:
    """The text of et_circuit.h, which templates/adapter.cpp includes; `engine` is of `program`,
    whose hash is `sha256`."""
    commands = {"RESET": RESET_COMMAND, "READ": READ_COMMAND, "WRITE": WRITE_COMMAND}
    numbers = {
        **{register.name.upper(): register.offset for register in REGISTERS},
        **{f"{name}_COMMAND": value for name, value in commands.items()},
        "S_BITS": engine.s_bits,
        "M_BITS": engine.m_bits,
    }
    lines = [f"static const uint32_t ET_{name} = {value};" for name, value in numbers.items()]
    ports, rows = [], []
    for number, (entry, each) in enumerate(zip(program.entries, engine.entries, strict=True)):
        ports.append(f"    {{{_streams(program, each.inputs)}, {_streams(program, each.outputs)}}}")
        lines += [
            f"static int run_{number}(const uint8_t *in, uint8_t *out) {{",
            f"    return run({number}, in, out);",
            "}",
        ]
        sizes = [
            sum(program.buffers[name].bytes for name in names)
            for names in (entry.inputs, entry.outputs)
        ]
        rows.append(f"    {{{sizes[0]}, {sizes[1]}, run_{number}}}")
    lines += _table("static const std::vector<Ports> ET_PORTS", ports)
    lines += _table("const et_entry_t et_entries[]", rows)
    lines.append(f"const uint32_t et_entry_count = {len(rows)};")
    states = program.of_kind("state")
    numbered = {tensor.buffer: i for i, tensor in enumerate(engine.tensors)}
    described = [
        _state(program, buffer, engine.tensors[numbered[buffer.name]], numbered[buffer.name])
        for buffer in states
    ]
    lines += _table("static const std::vector<State> ET_STATES", described)
    held = [f"    {{nullptr, {buffer.bytes}}}" for buffer in states] or ["    {nullptr, 0}"]
    lines += _table("const et_tensor_t et_state[]", held)
    lines.append(f"const uint32_t et_state_count = {len(states)};")
    lines += _table("const uint8_t et_model_hash[32]", [f"    {', '.join(map(str, sha256))}"])
    lines.append(f'const char et_version[] = "{version}";')
    return "\n".join(lines) + "\n"


def _table(declaration: str, rows: Iterable[str]) -> list[str]:
    return [f"{declaration} = {{", ",\n".join(rows), "};"]


def _streams(program: Program, streams: Sequence[Stream]) -> str:
    texts = []
    for each in streams:
        kind = program.buffers[each.buffer].type.scalar
        assert isinstance(kind, Int)
        # C++ has no literal for the lowest number of 64 bits.
        limits = f"INT64_C({kind.lo + 1}) - 1, INT64_C({kind.hi})"
        size, sign = storage_dtype(kind).itemsize, str(each.signed).lower()
        texts.append(f"{{{each.size}, {size}, {each.bits}, {each.lanes}, {sign}, {limits}}}")
    return f"{{{', '.join(texts)}}}"


def _state(program: Program, buffer: Buffer, tensor: Tensor, number: int) -> str:
    """The elements in the order in which `buffer` stores them."""
    shape = buffer.type.shape
    axes = buffer.layout.axes(len(shape))
    places = np.arange(buffer.type.size).reshape(shape).transpose(axes)
    initial = program.initial[buffer.name].transpose(axes).ravel()
    addresses = ", ".join(str(tensor.address(int(place))) for place in places.ravel())
    values = ", ".join(f"{int(value) % 2**64}u" for value in initial)
    row = shape[axes[-1]] if shape else 1
    size = buffer.layout.dtype(buffer.type).itemsize
    fields = f"{row}, {size}, {buffer.layout.bits or 0}, {tensor.bits}"
    sign = str(tensor.signed).lower()
    return f"    {{{number}, {fields}, {sign}, {{{addresses}}}, {{{values}}}}}"
