"""The Vivado project of a circuit: packaged as an IP, beside the processor with a DMA."""

from collections.abc import Sequence
from importlib import resources

from edgetrain.kernels.rtl.engine import Engine

MEGAHERTZ = 100
"""The clock that is asked for: an assumption, which no run has confirmed."""
FILES = ("package_ip.tcl", "build.tcl", "constraints.xdc")
_LEAST_MEMORY_BITS = 32
"""Of a port of the DMA to memory."""


def print_vivado(engine: Engine, part: str, sources: Sequence[str]) -> dict[str, str]:
    """File name → text, to lie in a folder of the project; `sources` are the files in its src/rtl.

    Nothing of a model file is in them.
    """
    fields = {
        "PART": part,
        "FILES": " ".join(sources),
        "MEGAHERTZ": MEGAHERTZ,
        "S_BITS": engine.s_bits,
        "M_BITS": engine.m_bits,
        "S_MEMORY_BITS": max(engine.s_bits, _LEAST_MEMORY_BITS),
        "M_MEMORY_BITS": max(engine.m_bits, _LEAST_MEMORY_BITS),
    }
    folder = resources.files(__package__).joinpath("templates")
    texts = {name: folder.joinpath(name).read_text(encoding="utf-8") for name in FILES}
    for key, value in fields.items():
        texts = {name: text.replace(f"@{key}@", str(value)) for name, text in texts.items()}
    return texts
