"""Block loads and stores of the M-profile's scalar floating-point unit.

Compilers load neighbours one by one, since `vldmia` wants neighbouring registers; so the registers
are named here, and the copies to ordinary variables cost nothing where those stay free.
"""

from collections.abc import Sequence

from edgetrain.compiler.types import FLOAT32, Scalar
from edgetrain.kernels.c.units import Unit

_MOST = 8
_BANKS = (16, 24)
"""The first register of what streams by, and of what the body keeps."""


class VfpUnit(Unit):
    """Floats of 32 bits one at a time, but up to eight neighbours in one load or store."""

    def runs(self, places: Sequence[int], scalar: Scalar) -> list[list[int]]:
        found: list[list[int]] = []
        for place in places:
            follows = found and place == found[-1][-1] + 1 and len(found[-1]) < _MOST
            if follows and scalar == FLOAT32:
                found[-1].append(place)
            else:
                found.append([place])
        return found

    def load_run(self, names: Sequence[str], pointer: str, streamed: bool) -> list[str]:
        count, bank = len(names), _BANKS[not streamed]
        registers = [f"s{bank + i}" for i in range(count)]
        outputs = ", ".join(f'"=t"(r{i})' for i in range(count))
        copies = [f"{name} = r{i};" for i, name in enumerate(names)]
        return [
            f"float {', '.join(names)};",
            "{",
            *_declarations(registers),
            (
                f'    __asm__("vldmia %{count}, {{{registers[0]}-{registers[-1]}}}" : {outputs}'
                f' : "r"({pointer}), "m"(*(const float(*)[{count}])({pointer})));'
            ),
            *(f"    {copy}" for copy in copies),
            "}",
        ]

    def store_run(self, values: Sequence[str], pointer: str) -> list[str]:
        count = len(values)
        registers = [f"s{_BANKS[0] + i}" for i in range(count)]
        inputs = ", ".join(f'"t"(r{i})' for i in range(count))
        return [
            "{",
            *_declarations(registers),
            *(f"    r{i} = {value};" for i, value in enumerate(values)),
            (
                f'    __asm__("vstmia %1, {{{registers[0]}-{registers[-1]}}}"'
                f' : "=m"(*(float(*)[{count}])({pointer})) : "r"({pointer}), {inputs});'
            ),
            "}",
        ]


def _declarations(registers: Sequence[str]) -> list[str]:
    return [
        f'    register float r{i} __asm__("{register}");' for i, register in enumerate(registers)
    ]
