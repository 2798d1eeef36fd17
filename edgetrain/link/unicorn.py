"""The instruction-set simulator unicorn as a transport: it needs nothing but a package from PyPI.

It has cores only, so that the UART is modelled here: status and data registers, always ready to
send.  Any other address that the firmware touches outside its memories is plain memory.
"""

import importlib
import struct
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

from edgetrain.board import Board, Memory
from edgetrain.compiler.errors import InputError
from edgetrain.image import symbol_table

_PAGE = 0x1000


@dataclass(frozen=True)
class _Uart:
    """A UART's registers as a driver uses them: a received byte is read at `receive`, and so on.

    `status` is the offset of the register that tells whether a byte has come, which reads as
    `ready` when it has and as `idle` when it has not; `constants` are others that it polls.
    """

    status: int
    ready: int
    idle: int
    receive: int
    transmit: int
    constants: tuple[tuple[int, int], ...] = ()


_UARTS = {
    "cmsdk": _Uart(status=0x4, ready=2, idle=0, receive=0x0, transmit=0x0),
    "ns16550": _Uart(status=0x5, ready=0x21, idle=0x20, receive=0x0, transmit=0x0),
    "nrf": _Uart(
        status=0x108, ready=1, idle=0, receive=0x518, transmit=0x51C, constants=((0x11C, 1),)
    ),
    "stm32": _Uart(status=0x0, ready=0xA0, idle=0x80, receive=0x4, transmit=0x4),
    # One register tells and reads at once: bit 31 is set while there is nothing.
    "sifive": _Uart(status=0x4, ready=0, idle=1 << 31, receive=0x4, transmit=0x0),
}


class UnicornTransport:
    """Runs an image in this process.

    With `count`, every basic block is counted: QEMU's counts, but slower and without the machine
    around the core.
    """

    name = "unicorn"
    timeout = 0.0

    def __init__(self, board: Board, image: Path, count: bool) -> None:
        """Loads the image and stands at its reset; InputError if unicorn cannot model the board."""
        if board.unicorn is None or board.memory is None or board.uart is None:
            raise InputError(f"unicorn does not model {board.name}", remedy="use --link qemu")
        try:
            library: Any = importlib.import_module("unicorn")
        except ImportError:
            raise InputError(
                "unicorn is not installed", remedy="pip install 'edgetrain[mcu]'"
            ) from None
        self._library = library
        self._uart = _UARTS[board.uart.driver]
        self._input: deque[int] = deque()
        self._output = bytearray()
        self._starved = False
        self._core = self._make_core(board.unicorn.cpu)
        for memory in (board.memory.flash, board.memory.ram):
            self._map(memory)
        page = board.uart.base & ~(_PAGE - 1)
        self._uart_offset = board.uart.base - page
        self._core.mmio_map(page, _PAGE, self._read, None, self._write, None)
        self._core.hook_add(library.UC_HOOK_MEM_UNMAPPED, self._map_on_touch)
        for register in board.unicorn.ready:
            self._core.hook_add(
                library.UC_HOOK_MEM_READ, self._make_ready, begin=register, end=register + 3
            )
        self._vectors = board.memory.flash.origin
        self._load(image)
        self._thumb = int(board.architecture == "cortex_m")
        self._calls = _CallCounter(self._core, image, board.architecture) if count else None
        if self._calls is not None:
            self._core.hook_add(library.UC_HOOK_BLOCK, self._calls.on_block)

    def send(self, data: bytes) -> None:
        self._input.extend(data)

    def receive(self, timeout: float) -> bytes:
        """Runs until the firmware waits for input; what it has sent by then."""
        self._starved = False
        while not self._starved:
            try:
                self._core.emu_start(self._pc() | self._thumb, 0)
            except self._library.UcError as error:
                raise InputError(
                    f"the firmware stopped at {self._pc():#x}: {error}", where="unicorn"
                ) from None
        data = bytes(self._output)
        self._output.clear()
        return data

    def instructions(self, ticks: int) -> int | None:
        return self._calls.last if self._calls is not None else None

    def close(self) -> None:
        """Nothing to end: the simulator goes with the object."""

    def _make_core(self, cpu: str) -> Any:
        library = self._library
        arm: Any = importlib.import_module("unicorn.arm_const")
        riscv: Any = importlib.import_module("unicorn.riscv_const")
        models = {
            "cortex-m0": arm.UC_CPU_ARM_CORTEX_M0,
            "cortex-m3": arm.UC_CPU_ARM_CORTEX_M3,
            "cortex-m4": arm.UC_CPU_ARM_CORTEX_M4,
            "cortex-m7": arm.UC_CPU_ARM_CORTEX_M7,
            "cortex-m33": arm.UC_CPU_ARM_CORTEX_M33,
            "rv32": riscv.UC_CPU_RISCV32_ANY,
        }
        if cpu == "rv32":
            core = library.Uc(library.UC_ARCH_RISCV, library.UC_MODE_RISCV32)
            self._pc_register = riscv.UC_RISCV_REG_PC
            self._sp_register = None
        else:
            core = library.Uc(library.UC_ARCH_ARM, library.UC_MODE_THUMB | library.UC_MODE_MCLASS)
            self._pc_register = arm.UC_ARM_REG_PC
            self._sp_register = arm.UC_ARM_REG_SP
        core.ctl_set_cpu_model(models[cpu])
        return core

    def _pc(self) -> int:
        return int(self._core.reg_read(self._pc_register))

    def _map(self, memory: Memory) -> None:
        begin = memory.origin & ~(_PAGE - 1)
        end = (memory.origin + memory.size + _PAGE - 1) & ~(_PAGE - 1)
        self._core.mem_map(begin, end - begin)

    def _map_on_touch(self, core: Any, _access: int, at: int, *_: object) -> bool:
        core.mem_map(at & ~(_PAGE - 1), _PAGE)
        return True

    def _make_ready(self, core: Any, _access: int, at: int, *_: object) -> None:
        core.mem_write(at & ~3, b"\xff\xff\xff\xff")

    def _load(self, image: Path) -> None:
        """Copies the image's segments to where they are stored, and puts the core at reset."""
        with image.open("rb") as file:
            elf = ELFFile(file)
            for segment in elf.iter_segments("PT_LOAD"):
                self._core.mem_write(segment["p_paddr"], segment.data())
            entry = elf.header["e_entry"]
        if self._sp_register is not None:
            stack, entry = struct.unpack("<II", self._core.mem_read(self._vectors, 8))
            self._core.reg_write(self._sp_register, stack)
        self._core.reg_write(self._pc_register, entry)

    def _read(self, _core: Any, offset: int, _size: int, _data: object) -> int:
        uart = self._uart
        register = offset - self._uart_offset
        if register == uart.receive and self._input:
            return self._input.popleft()
        if register == uart.status:
            if self._input:
                return uart.ready
            self._starved = True
            self._core.emu_stop()
            return uart.idle
        return dict(uart.constants).get(register, 0)

    def _write(self, _core: Any, offset: int, _size: int, value: int, _data: object) -> None:
        if offset - self._uart_offset == self._uart.transmit:
            self._output.append(value & 0xFF)


class _CallCounter:
    """Counts the instructions between et_count_start and et_count_stop, a basic block at a time."""

    def __init__(self, core: Any, image: Path, architecture: str) -> None:
        self.last: int | None = None
        self._core = core
        self._thumb = architecture == "cortex_m"
        self._block_counts: dict[tuple[int, int], int] = {}
        self._total = 0
        self._begin = 0
        # The firmware's first two pairs enclose a bare return, and one instruction more than that.
        self._trials: list[int] = []
        with image.open("rb") as file:
            at = {s.name: s["st_value"] & ~1 for s in symbol_table(ELFFile(file)).iter_symbols()}
        self._start, self._stop = at["et_count_start"], at["et_count_stop"]

    def on_block(self, _core: Any, at: int, size: int, _data: object) -> None:
        if at == self._start:
            self._begin = self._total
        elif at == self._stop:
            elapsed = self._total - self._begin
            if len(self._trials) < 2:
                self._trials.append(elapsed)
            else:
                self.last = elapsed - (2 * self._trials[0] - self._trials[1])
        count = self._block_counts.get((at, size))
        if count is None:
            count = self._block_counts[at, size] = self._count_block(at, size)
        self._total += count

    def _count_block(self, at: int, size: int) -> int:
        """A block's instructions; the first half-word tells whether one has two bytes or four."""
        code = bytes(self._core.mem_read(at, size))
        count = position = 0
        while position < size:
            half = code[position] | code[position + 1] << 8
            long = half >= 0xE800 if self._thumb else half & 3 == 3
            position += 4 if long else 2
            count += 1
        return count
