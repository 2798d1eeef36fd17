"""Cycles that a simple core would take for what an emulator executed: a model, no measurement.

Instruction counts alone flatter a load of many registers, a vector and a division.  The models know
no stalls, no wait states and no second issue; docs/benchmarks.md gives them in words.
"""

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from elftools.elf.elffile import ELFFile

from edgetrain.board import Board
from edgetrain.compiler.program import Program
from edgetrain.image import symbol_table
from edgetrain.link import open_link

_BUSY = {"et_link_serve", "receive", "transmit", "crc32", "execute", "run_painted", "et_copy"}
_BUSY |= {"et_getchar", "et_putchar", "et_wait"}
_TRACE = re.compile(rb"\[[0-9a-f]+/0*([0-9a-f]+)/")
_REFILL = 2
"""Cycles more of an instruction that does not go on to the next one."""
_DIVISION = 14
"""Of floats, and square roots."""
_DATA_PATH = 64
"""Bits of a vector that are worked on in a cycle."""

Cost = Callable[[int, int], float]
"""The cycles of an instruction by its two half-words."""


def modelled_cycles(
    board: Board, image: Path, program: Program, entry: str, inputs: Sequence[bytes]
) -> tuple[float, float]:
    """Cycles and instructions of one call of `entry`, its first to its last, the mean over calls.

    QEMU runs the image and tells every instruction.
    """
    position = program.entries.index(program.entry(entry))
    with image.open("rb") as file:
        code = _Code(ELFFile(file))
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch, "trace")
        arguments = ["-accel", "tcg,one-insn-per-tb=on", "-d", "exec,nochain", "-D", str(log)]
        arguments += ["-dfilter", ",".join(code.ranges())]
        with open_link(board, image, "qemu", emulator_arguments=arguments) as link:
            link.hello()
            link.reset()
            for data in inputs:
                link.run(position, data)
        with log.open("rb") as lines:
            found = (_TRACE.search(line) for line in lines)
            addresses = (int(match[1], 16) for match in found if match is not None)
            calls = [_cost(board, code, call) for call in code.calls(addresses, entry)]
    cycles, instructions = (sum(column) / len(inputs) for column in zip(*calls, strict=True))
    return cycles, instructions


def _cost(board: Board, code: "_Code", call: Sequence[int]) -> tuple[float, int]:
    """Cycles and instructions of what was executed, address by address."""
    cost: Cost = RiscvCost() if board.architecture == "riscv" else ThumbCost(board.core)
    cycles = 0.0
    for at, following in zip(call, (*call[1:], None), strict=True):
        first, second = code.half_words(at)
        size = 4 if (first & 3 == 3 if board.architecture == "riscv" else first >= 0xE800) else 2
        cycles += cost(first, second)
        # The loop instruction of the M-profile jumps without refilling.
        if following not in (at + size, None) and first & 0xFFCF != 0xF00F:
            cycles += _REFILL
    return cycles, len(call)


class ThumbCost:
    """One cycle, but: several registers one each and one more; single loads and stores two, fused
    multiply-adds on the cores before the M7 three, vectors by the width of the data path."""

    def __init__(self, core: str) -> None:
        self._fma = 3 if core in ("Cortex-M4F", "Cortex-M33F") else 1

    def __call__(self, first: int, second: int) -> float:
        if first < 0xE800:
            return self._short(first)
        if first & 0xEC00 == 0xEC00:
            return self._coprocessor(first, second)
        if first & 0xFE40 == 0xE800:  # LDM, STM
            return 1 + second.bit_count()
        if first & 0xFE40 == 0xE840:  # LDRD, STRD and their kin
            return 3
        if first & 0xFE00 == 0xF800:  # LDR, STR
            return 2
        return 12 if first & 0xFFD0 == 0xFB90 else 1  # SDIV, UDIV

    def _short(self, first: int) -> float:
        if first & 0xF600 == 0xB400:  # PUSH, POP
            return 1 + (first & 0x1FF).bit_count()
        if first & 0xF000 == 0xC000:  # LDM, STM
            return 1 + (first & 0xFF).bit_count()
        single = first >> 12 in (5, 6, 7, 8, 9) or first & 0xF800 == 0x4800
        return 2 if single else 1

    def _coprocessor(self, first: int, second: int) -> float:
        if second >> 8 & 0xF not in (9, 10, 11):  # MVE
            return 128 / _DATA_PATH
        if first & 0xFFE0 == 0xEC40:  # VMOV of two registers
            return 2
        if first & 0xFE00 == 0xEC00:
            single = first & 0x0120 == 0x0100  # VLDR, VSTR; else VLDM, VSTM of as many words
            return 2 if single else 1 + (second & 0xFF)
        if second & 0x10:  # VMOV, VMRS, VMSR
            return 1
        operation = first & 0xB0
        if operation in (0x90, 0xA0, 0x00, 0x10):
            return self._fma
        root = operation == 0xB0 and first & 0xF == 1 and second & 0xC0 == 0xC0
        return _DIVISION if operation == 0x80 or root else 1


class RiscvCost:
    """One cycle, but: divisions; vectors by their registers and the width of the data path."""

    def __init__(self) -> None:
        self._group = 1.0  # registers of the vectors that the last `vset` has chosen

    def __call__(self, first: int, second: int) -> float:
        word = first | second << 16
        opcode, form = word & 0x7F, word >> 12 & 7
        if first & 3 != 3:
            return 1
        if opcode == 0x57:
            return self._vector(word, form)
        if opcode in (0x07, 0x27) and form in (0, 5, 6, 7):
            whole = word >> 20 & 0x1F == 0x08 and word >> 26 & 3 == 0
            return self._registers(1 + (word >> 29) if whole else self._group)
        if opcode == 0x53 and word >> 27 in (0x03, 0x0B):  # FDIV, FSQRT
            return _DIVISION
        return 32 if opcode == 0x33 and word >> 25 == 1 and form >= 4 else 1  # DIV, REM

    def _vector(self, word: int, form: int) -> float:
        if form != 7:
            return self._registers(self._group)
        if word >> 30 != 2:  # VSETVLI, VSETIVLI: the group is in the instruction
            group = word >> 20 & 7
            self._group = 2.0 ** (group if group < 4 else group - 8)
        return 1

    def _registers(self, count: float) -> float:
        return max(1.0, count * 128 / _DATA_PATH)


class _Code:
    """Code and symbols of an image."""

    def __init__(self, elf: ELFFile) -> None:
        self._segments = [(s["p_vaddr"], s.data()) for s in elf.iter_segments("PT_LOAD")]
        self._functions = {
            s.name: (s["st_value"] & ~1, s["st_size"])
            for s in symbol_table(elf).iter_symbols()
            if s["st_info"]["type"] == "STT_FUNC" and s["st_size"]
        }
        self._known: dict[int, tuple[int, int]] = {}

    def ranges(self) -> list[str]:
        """All functions but those that are busy between calls, as QEMU's `-dfilter` wants them."""
        wanted = self._functions.items()
        return [f"{at:#x}+{size:#x}" for name, (at, size) in wanted if name not in _BUSY]

    def calls(self, trace: Iterable[int], entry: str) -> Iterator[list[int]]:
        """The addresses executed in each call of an entry."""
        start, (caller, size) = self._functions[f"et_{entry}"][0], self._functions[f"run_{entry}"]
        call: list[int] | None = None
        for at in trace:
            if at == start and call is None:
                call = []
            elif caller <= at < caller + size and call is not None:
                yield call
                call = None
            if call is not None:
                call.append(at)

    def half_words(self, at: int) -> tuple[int, int]:
        """The two half-words at an address."""
        if at not in self._known:
            base, data = next((b, d) for b, d in self._segments if b <= at < b + len(d))
            code = data[at - base : at - base + 4].ljust(4, b"\0")
            self._known[at] = code[0] | code[1] << 8, code[2] | code[3] << 8
        return self._known[at]
