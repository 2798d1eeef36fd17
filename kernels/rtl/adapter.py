"""A circuit behind the link server: what the simulator's adapter must know of it, as C++."""

from collections.abc import Iterable

from edgetrain.compiler.program import Buffer, Program
from edgetrain.kernels.rtl.engine import Engine, Stream, Tensor
from edgetrain.kernels.rtl.forms import form, forms, link_tables, number
from edgetrain.kernels.rtl.registers import (
    READ_COMMAND,
    REGISTERS,
    RESET_COMMAND,
    WRITE_COMMAND,
)


def print_registers(engine: Engine) -> str:
    """The text of et_registers.h: offsets, commands, and the widths of the streams."""
    commands = {"RESET": RESET_COMMAND, "READ": READ_COMMAND, "WRITE": WRITE_COMMAND}
    numbers = {
        **{register.name.upper(): register.offset for register in REGISTERS},
        **{f"{name}_COMMAND": value for name, value in commands.items()},
        "S_BITS": engine.s_bits,
        "M_BITS": engine.m_bits,
    }
    return "".join(
        f"static const uint32_t ET_{name} = {value};\n" for name, value in numbers.items()
    )


def print_adapter(program: Program, engine: Engine, sha256: bytes, version: str) -> str:
    """The text of et_circuit.h, which templates/adapter.cpp includes; `engine` is of `program`,
    whose hash is `sha256`."""
    lines, ports = [], []
    for place, (entry, each) in enumerate(zip(program.entries, engine.entries, strict=True)):
        ports.append(f"    {{{forms(program, each.inputs)}, {forms(program, each.outputs)}}}")
        lines += [
            f"static int run_{entry.name}(const uint8_t *in, uint8_t *out) {{",
            f"    return run({place}, in, out);",
            "}",
        ]
    numbered = {tensor.buffer: i for i, tensor in enumerate(engine.tensors)}
    states = [
        _state(program, buffer, engine.tensors[numbered[buffer.name]], numbered[buffer.name])
        for buffer in program.of_kind("state")
    ]
    lines += _table("static const std::vector<Ports> ET_PORTS", ports)
    lines += _table("static const std::vector<State> ET_STATES", states)
    return "\n".join([*lines, *link_tables(program, sha256, version)]) + "\n"


def _table(declaration: str, rows: Iterable[str]) -> list[str]:
    return [f"{declaration} = {{", ",\n".join(rows), "};"]


def _state(program: Program, buffer: Buffer, tensor: Tensor, place: int) -> str:
    size = buffer.type.size
    word = Stream(buffer.name, size, tensor.bits, tensor.signed, 1)
    addresses = ", ".join(str(tensor.address(i)) for i in range(size))
    values = ", ".join(number(int(value)) for value in program.initial[buffer.name].ravel())
    return f"    {{{place}, {form(buffer, word)}, {{{addresses}}}, {{{values}}}}}"
