"""What the adapters of simulated circuits know of a program, as C++: forms of tensors (et_forms.h),
and the tables of the link server (et_tables.h)."""

from collections.abc import Sequence
from importlib import resources
from math import prod

import numpy as np

from edgetrain.compiler.layout import storage_dtype
from edgetrain.compiler.program import Buffer, Program
from edgetrain.compiler.types import Int
from edgetrain.kernels.c.arrays import print_array
from edgetrain.kernels.rtl.engine import Stream

FORMS_FILE = "et_forms.h"


def template(name: str) -> str:
    """A file of this package's folder `templates`."""
    return resources.files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


def number(value: int) -> str:
    """A literal of C++, of `int` or `long long`."""
    if -(2**31) < value < 2**31:
        return str(value)
    # The most negative one is no literal: the minus applies to a number that does not fit.
    return f"{value}LL" if value > -(2**63) else f"({value + 1}LL - 1)"


def form(buffer: Buffer, stream: Stream) -> str:
    """An `et_form`: `buffer` as it travels and as a processor has it in memory."""
    kind, shape = buffer.type.scalar, buffer.type.shape
    assert isinstance(kind, Int)
    axes = buffer.layout.axes(len(shape))
    lengths = ", ".join(str(shape[axis]) for axis in axes)
    strides = ", ".join(str(prod(shape[axis + 1 :])) for axis in axes)
    texts = [str(stream.size), str(stream.lanes), str(stream.bits), str(stream.signed).lower()]
    texts += [number(kind.lo), number(kind.hi), f"{buffer.bytes}u"]
    texts += [str(storage_dtype(kind).itemsize), str(buffer.layout.bits or 0)]
    return f"{{{', '.join(texts)}, {{{lengths}}}, {{{strides}}}}}"


def forms(program: Program, streams: Sequence[Stream]) -> str:
    """A vector of them."""
    texts = [form(program.buffers[each.buffer], each) for each in streams]
    return f"{{{', '.join(texts)}}}"


def link_tables(program: Program, sha256: bytes, version: str) -> list[str]:
    """What et_tables.h declares, of entries that functions `run_NAME` carry out and of states that
    are not in memory."""
    rows = []
    for entry in program.entries:
        taken, given = (
            sum(program.buffers[name].bytes for name in names)
            for names in (entry.inputs, entry.outputs)
        )
        rows.append(f"    {{{taken}, {given}, run_{entry.name}}},")
    states = program.of_kind("state")
    tensors = [f"    {{nullptr, {state.bytes}}}," for state in states]
    return [
        f'const char et_version[] = "{version}";',
        *print_array("const uint8_t et_model_hash", np.frombuffer(sha256, np.uint8)),
        "const et_entry_t et_entries[] = {",
        *rows,
        "};",
        f"const uint32_t et_entry_count = {len(rows)};",
        "const et_tensor_t et_state[] = {",
        *(tensors or ["    {nullptr, 0},"]),
        "};",
        f"const uint32_t et_state_count = {len(states)};",
    ]
