"""Programs as HLS C++, simulated behind the link beside the simulator."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.folding import Folding, foldings, unit_names
from edgetrain.compiler.program import Program
from edgetrain.compiler.program_file import program_sha256
from edgetrain.fpga.csim import ap_types, build_csim
from edgetrain.kernels.hls.program import print_hls
from edgetrain.link import Link
from edgetrain.link.transport import ProcessTransport
from edgetrain.toolchain import STRICT
from tests.c.harness import Pair
from tests.support import absent, needs_tool

# Pragmas are for Vitis.
FLAGS = ("-O0", *STRICT, "-Wno-unknown-pragmas")


@contextmanager
def simulated(
    program: Program,
    scratch: Path,
    folded: Mapping[str, Folding] | None = None,
    *,
    unrolled: bool = False,
    lanes: Mapping[str, int] | None = None,
) -> Iterator[Pair]:
    """The program in C++ and in the simulator, both at the start."""
    needs_tool("g++")
    try:
        ap_types()
    except InputError as error:
        absent(str(error))
    digest = program_sha256(program)
    texts = print_hls(program, folded or {}, digest, "test", unrolled=unrolled, lanes=lanes)
    scratch.mkdir(exist_ok=True)
    for name, text in texts.items():
        (scratch / name).write_text(text, encoding="utf-8")
    image = build_csim(scratch, scratch / "csim", FLAGS)
    with Link(ProcessTransport("csim", [str(image)])) as link:
        assert link.hello().model_hash == digest
        yield Pair(program, link)


def random_foldings(program: Program, rng: np.random.Generator) -> dict[str, Folding]:
    """Of every unit, one that its calls allow."""
    found = {}
    for (entry, place), unit in unit_names(program).items():
        legal = foldings(program.entry(entry).calls[place], program.constants)
        found[unit] = legal[int(rng.integers(len(legal)))]
    return found


def seeds(config: pytest.Config, usual: int, every: int, each: int) -> list[range]:
    """0 up to `usual`, with --every up to `every`, `each` together."""
    count = every if config.getoption("--every") else usual
    return [range(first, min(first + each, count)) for first in range(0, count, each)]
