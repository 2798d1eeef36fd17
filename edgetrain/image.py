"""What an ELF file says: sizes of an image, and a bound of the stack of a relocatable object."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

# An allowance for a call into the compiler's own library (division, soft float), whose routines
# come without sizes.
LIBRARY_CALL_BYTES = 128


@dataclass(frozen=True)
class Sizes:
    """Bytes, as `size` counts them: flash is code, constants and initial values; ram is data."""

    flash: int
    ram: int


def image_sizes(path: Path) -> Sizes:
    """The sizes of an executable or object."""
    flash = ram = 0
    with path.open("rb") as file:
        for section in ELFFile(file).iter_sections():
            flags, size = section["sh_flags"], section["sh_size"]
            if not flags & 0x2:  # SHF_ALLOC
                continue
            if section["sh_type"] != "SHT_NOBITS":
                flash += size
            if flags & 0x1:  # SHF_WRITE
                ram += size
    return Sizes(flash, ram)


def global_symbols(path: Path) -> list[str]:
    """The names of the functions and objects that an object file defines for others, sorted."""
    with path.open("rb") as file:
        return sorted(
            symbol.name
            for symbol in symbol_table(ELFFile(file)).iter_symbols()
            if symbol["st_info"]["bind"] == "STB_GLOBAL" and symbol["st_shndx"] != "SHN_UNDEF"
        )


def frames_from_su(path: Path) -> dict[str, int]:
    """Each function's frame in bytes, from GCC's -fstack-usage."""
    frames: dict[str, int] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        place, size, _ = line.split("\t")
        name = place.rsplit(":", 1)[1]
        frames[name] = max(int(size), frames.get(name, 0))
    return frames


def frames_from_section(path: Path) -> dict[str, int]:
    """Each function's frame in bytes, from the .stack_sizes sections of Clang's object files."""
    frames = {}
    with path.open("rb") as file:
        elf = ELFFile(file)
        functions = _functions(elf)
        for section in elf.iter_sections():
            if section.name == ".stack_sizes":
                # One function a section: its address, which a relocation fills in, and a ULEB128.
                data = section.data()[elf.elfclass // 8 :]
                size = sum((byte & 0x7F) << (7 * i) for i, byte in enumerate(data))
                frames[functions[section["sh_link"]]] = size
    return frames


def stack_bound(path: Path, frames: Mapping[str, int]) -> int:
    """The deepest stack of any call into an object compiled with -ffunction-sections.

    The call graph is read from the relocations, so that every mention of a function counts as a
    call.  ValueError if it has a cycle.
    """
    calls = _calls(path)
    open_calls: list[str] = []

    @cache
    def depth(name: str) -> int:
        if name not in calls:
            return LIBRARY_CALL_BYTES
        if name in open_calls:
            raise ValueError(f"recursion in {name}")
        open_calls.append(name)
        deepest = max((depth(callee) for callee in sorted(calls[name] - {name})), default=0)
        open_calls.pop()
        # GCC reports a clone f.constprop.0.isra.0 as f.constprop.isra, and says nothing of a
        # function that it has made a jump to an equal one.
        reported = ".".join(part for part in name.split(".") if not part.isdigit())
        return frames.get(name, frames.get(reported, 0)) + deepest

    return max(map(depth, calls), default=0)


def _calls(path: Path) -> dict[str, set[str]]:
    """Which functions each function of an object mentions, those of other objects included."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        functions = _functions(elf)
        calls: dict[str, set[str]] = {name: set() for name in functions.values()}
        for section in elf.iter_sections():
            caller = functions.get(section["sh_info"])
            if not isinstance(section, RelocationSection) or caller is None:
                continue
            symbols = elf.get_section(section["sh_link"])
            assert isinstance(symbols, SymbolTableSection)
            for relocation in section.iter_relocations():
                symbol = symbols.get_symbol(relocation["r_info_sym"])
                kind, where = symbol["st_info"]["type"], symbol["st_shndx"]
                if where in functions and kind in ("STT_FUNC", "STT_SECTION"):
                    calls[caller].add(functions[where])
                elif where == "SHN_UNDEF" and symbol.name:
                    calls[caller].add(symbol.name)
    return calls


def symbol_table(elf: ELFFile) -> SymbolTableSection:
    """The file's symbols; every object and every image that the toolchains make has them."""
    table = elf.get_section_by_name(".symtab")
    assert isinstance(table, SymbolTableSection)
    return table


def _functions(elf: ELFFile) -> dict[int, str]:
    """The one function of each section, by the section's index."""
    return {
        symbol["st_shndx"]: symbol.name
        for symbol in symbol_table(elf).iter_symbols()
        if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_shndx"] != "SHN_UNDEF"
    }
