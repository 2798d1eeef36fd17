"""The registers of the circuit: one table for the Verilog, the simulator and the driver."""

from dataclasses import dataclass

IDENTIFICATION = 0x4564_6765
"""The letters Edge."""
MAP_VERSION = 1
RESET_COMMAND, READ_COMMAND, WRITE_COMMAND = 1, 1, 2


@dataclass(frozen=True, slots=True)
class Register:
    """`words` of 32 bits from the byte `offset` on; `access` is r, w or rw."""

    name: str
    offset: int
    access: str
    meaning: str
    words: int = 1


REGISTERS = (
    Register("identification", 0x00, "r", f"{IDENTIFICATION:#010x}"),
    Register("map_version", 0x04, "r", f"of this table: {MAP_VERSION}"),
    Register("release", 0x08, "r", "of EdgeTrain, a byte a number: 0x00010200 is 1.2.0"),
    Register("status", 0x0C, "r", "bit 0: a frame is in hand; bit 1: a state is being read"),
    Register("control", 0x10, "w", f"{RESET_COMMAND}: give up the frame in hand"),
    Register("entry", 0x14, "rw", "which entry the next frame is for; write it while idle"),
    Register(
        "cycles", 0x18, "r", "from the first beat that came while idle to the last answer's end"
    ),
    Register("frames", 0x1C, "r", "answers given since the reset"),
    Register("state_tensor", 0x20, "rw", "which tensor the window is on"),
    Register("state_address", 0x24, "rw", "which word of it: word << 8 | lane"),
    Register("state_low", 0x28, "rw", "the word, lower half"),
    Register("state_high", 0x2C, "rw", "the word, upper half"),
    Register(
        "state_command",
        0x30,
        "w",
        f"while idle, {READ_COMMAND}: read the word; {WRITE_COMMAND}: write it",
    ),
    Register("hash", 0x40, "r", "SHA-256 of the program, its first byte lowest", 8),
)
ADDRESS_BITS = 7
"""Of a byte among them."""


def offset(name: str) -> int:
    """The first byte of that register."""
    return next(register.offset for register in REGISTERS if register.name == name)
