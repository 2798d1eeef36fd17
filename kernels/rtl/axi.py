"""The circuit as a block of a system: AXI4-Stream and AXI4-Lite around any form of engine."""

from edgetrain.compiler.errors import InputError
from edgetrain.kernels.rtl.engine import Engine
from edgetrain.kernels.rtl.forms import template
from edgetrain.kernels.rtl.registers import (
    ADDRESS_BITS,
    IDENTIFICATION,
    MAP_VERSION,
    REGISTERS,
    offset,
)

TOP = "edgetrain"
"""The module's name."""
MOST_NUMBERED = 256


def print_top(engine: Engine, sha256: bytes, version: str) -> str:
    """The text of the module `edgetrain`, which holds an `et_engine`; `sha256` (32 bytes) is the
    program's hash, `version` EdgeTrain's.  Raises InputError where there are more entries or states
    than its registers can name."""
    if max(len(engine.entries), len(engine.tensors)) > MOST_NUMBERED:
        raise InputError(
            f"{len(engine.entries)} entries and {len(engine.tensors)} states are more than the "
            f"{MOST_NUMBERED} that a circuit's registers can name",
            remedy="let fewer layers learn (--update)",
        )
    fields = {
        "ADDRESS_HIGH": ADDRESS_BITS - 1,
        "WORD_HIGH": ADDRESS_BITS - 3,
        "S_BITS": engine.s_bits,
        "S_HIGH": engine.s_bits - 1,
        "S_BYTES_HIGH": engine.s_bits // 8 - 1,
        "M_BITS": engine.m_bits,
        "M_HIGH": engine.m_bits - 1,
        "M_BYTES": engine.m_bits // 8,
        "M_BYTES_HIGH": engine.m_bits // 8 - 1,
        "REGISTERS": "\n".join(_words()),
        "CONSTANTS": "\n".join(_constants(sha256, version)),
    }
    text = template("edgetrain.v")
    for name, value in fields.items():
        text = text.replace(f"@{name}@", str(value))
    return text


def _word(at: int) -> str:
    return f"{ADDRESS_BITS - 2}'d{at // 4}"


def _words() -> list[str]:
    """Which word each register is that has one."""
    used = [r for r in REGISTERS if r.words == 1 and r.name not in _fixed(bytes(32), "0")]
    high = ADDRESS_BITS - 3
    return [f"localparam [{high}:0] {r.name.upper()} = {_word(r.offset)};" for r in used]


def _fixed(sha256: bytes, version: str) -> dict[str, list[int]]:
    """The words of the registers that never change."""
    numbers = [int(part) for part in version.split("+")[0].split(".")[:3] if part.isdecimal()]
    release = sum(number % 256 << 16 - 8 * i for i, number in enumerate(numbers))
    words = [int.from_bytes(sha256[i : i + 4], "little") for i in range(0, 32, 4)]
    return {
        "identification": [IDENTIFICATION],
        "map_version": [MAP_VERSION],
        "release": [release],
        "hash": words,
    }


def _constants(sha256: bytes, version: str) -> list[str]:
    return [
        f"            {_word(offset(name) + 4 * i)}: s_axi_rdata <= 32'h{value:08x};"
        for name, values in _fixed(sha256, version).items()
        for i, value in enumerate(values)
    ]
