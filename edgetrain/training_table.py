"""The table of training steps in docs/benchmarks.md: what each costs, beside what others take."""

import re
from dataclasses import dataclass
from pathlib import Path

from edgetrain.bench import BenchReport, bench

OTHERS = {
    ("mlp-64-32-16-5-fp32", "mps2-an386"): (
        "AIfES 316,772 (277,891 at its best flags); PULP-TrainLib's plain kernels on one core"
        " 55,849; plain static C 33,022"
    ),
    ("mlp-64-32-16-5-fp32", "qemu-rv32imafc"): "AIfES 325,661; TrainLib 61,111; plain C 39,582",
    ("mlp-40-64-32-5-fp16", "mps3-an547"): (
        "without softmax: CMSIS-DSP composed 16,021; C vectorised by the compiler 6,878;"
        " intrinsics 6,349"
    ),
    ("mlp-40-64-32-5-fp16", "qemu-rv32-zfh"): "straightforward C 44,074",
    ("mlp-40-64-32-5-fp16", "qemu-rv32-zvfh"): "intrinsics 4,375",
}
"""Instructions of one step by others' code, as they were measured once on the same emulator."""

BOARDS = {
    "fp32": ("mps2-an386", "mps2-an500", "mps3-an547", "qemu-rv32imafc", "qemu-rv32-zvfh"),
    "fp16": ("mps3-an547", "qemu-rv32-zfh", "qemu-rv32-zvfh", "qemu-rv64-zvfh"),
}
REFERENCES = ("mlp-64-32-16-5-fp32", "mlp-40-64-32-5-fp16")
SIZES = ("33-17-9-3", "100-30-10-2", "7-5-3", "128-64-10", "61-29-13-7")
"""Other shapes, most with tails, so that none is favoured."""
OTHER_BOARDS = {"fp32": ("mps2-an386", "qemu-rv32imafc"), "fp16": ("mps3-an547", "qemu-rv32-zvfh")}

_REGION = re.compile(r"(<!-- measured: training -->\n).*?(<!-- end of table -->)", re.DOTALL)


@dataclass(frozen=True)
class Row:
    """A measured step, and what others take for it."""

    report: BenchReport
    others: str


def training_rows() -> list[Row]:
    """Measures every row; takes a few minutes."""
    pairs = [(name, board) for name in REFERENCES for board in BOARDS[name[-4:]]]
    for precision, boards in OTHER_BOARDS.items():
        pairs += [(f"mlp-{sizes}-{precision}", board) for sizes in SIZES for board in boards]
    return [Row(bench(*pair), OTHERS.get(pair, "")) for pair in pairs]


def as_markdown(rows: list[Row]) -> str:
    """The table, a row a line."""
    head = (
        *("workload", "board", "instructions", "modelled cycles", "multiply-accumulates"),
        *("RAM", "of it parameters", "flash", "bit-exact", "others: instructions"),
    )
    lines = [head, ("---",) * len(head)]
    for row in rows:
        r = row.report
        numbers = (r.instructions, r.modelled_cycles, r.macs, r.ram_bytes, r.weights_bytes)
        cells = ["–" if n is None else f"{n:,.0f}" for n in (*numbers, r.flash_bytes)]
        exact = "yes" if r.bit_exact else "NO"
        lines.append((f"`{r.workload}`", f"`{r.board}`", *cells, exact, row.others or "–"))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write_into(document: Path, rows: list[Row]) -> None:
    """Replaces the table in `document`."""
    text = document.read_text(encoding="utf-8")
    found = _REGION.sub(lambda region: region[1] + as_markdown(rows) + region[2], text)
    document.write_text(found, encoding="utf-8")
