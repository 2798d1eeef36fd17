"""The detector learns on its boards: 200 steps by every rule, bit for bit; and in what memory.

`--every` takes every rule, latent and update to every board, and the detector as a float network
too; without it they take turns.
"""

from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from edgetrain.compiler.rules import RULES, Learning
from edgetrain.compiler.rules.learning import INTEGER, LATENTS
from edgetrain.pipeline import CompileReport, Program, compile_model, write_project
from edgetrain.verify import VerifyReport, verify
from edgetrain.workloads import find_model
from tests.support import assert_bit_exact, needs_tool

STEPS = 200
BOARDS = ("host", "mps2-an386", "mps3-an547", "qemu-rv32imc")
TABLE = ("seen", "time", "gap", "last", "before", "alarmed", "alarm_time")
"""The states of the front end, which keeps something of every identifier."""
WAYS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name, rule in sorted(RULES.items()) if "quantised" in rule.precisions),
    *(("sgd", {"latent": latent}) for latent in LATENTS),
    *(("sgd", {"update": update}) for update in ("last", "biases", "w1[0:8]")),
    ("sgd", {"batch": 3}),
    ("adam", {"rounding": "stochastic"}),
    ("sgd", {"precision": INTEGER}),
    ("sgd", {"precision": "pow2"}),
    ("sgd", {"scales": "learned"}),
]

INTEGER_BOARDS = ("bbc_microbit", *BOARDS)
"""Those on which it learns without floats too; the first has 16 KB."""
INTEGER_WAYS: list[tuple[str, dict[str, Any]]] = [
    *(("sgd", {"precision": INTEGER, "latent": "int8", **how}) for how in ({}, {"batch": 2})),
    *(
        (name, {"precision": INTEGER, "update": "w1[0:16],last"})
        for name, rule in sorted(RULES.items())
        if INTEGER in rule.precisions
    ),
]


FLOAT_BOARDS = {"fp32": BOARDS, "fp16": ("host", "mps3-an547", "qemu-rv32-zfh")}


def float_ways(precision: str) -> list[tuple[str, dict[str, Any]]]:
    """By every rule that is defined in it."""
    names = [name for name, rule in sorted(RULES.items()) if precision in rule.precisions]
    ways = [(name, {"precision": precision}) for name in names]
    return [*ways, ("sgd", {"precision": precision, "save_activations": "int4"})]


def learning(rule: str, board: str, **how: Any) -> Program:
    """The program of the detector that learns by `rule`."""
    model, floats = find_model("can-ids-w2a2"), how.get("precision") in FLOAT_BOARDS
    return compile_model(
        model, board, learn=rule, how=Learning(rate=1e-3, **how), dequantise=floats
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every way to learn on the board whose turn it is, or on every one."""
    if "way" in metafunc.fixturenames:
        every = metafunc.config.getoption("--every")
        runs = []
        boards: tuple[str, ...]
        for ways, boards in ((WAYS, BOARDS), (INTEGER_WAYS, INTEGER_BOARDS)):
            turns = cycle(boards)
            runs += [(way, b) for way in ways for b in (boards if every else [next(turns)])]
        if every:
            for precision, boards in FLOAT_BOARDS.items():
                runs += [(way, b) for way in float_ways(precision) for b in boards]
        names = [f"{rule}-{'-'.join(map(str, how.values()))}-{b}" for (rule, how), b in runs]
        metafunc.parametrize(("way", "board"), runs, ids=names)


def test_is_bit_exact(way: tuple[str, dict[str, Any]], board: str, tmp_path: Path) -> None:
    rule, how = way
    program = learning(rule, board, **how)
    report = assert_bit_exact(program, tmp_path / "out", samples=20, steps=STEPS)
    assert report.steps == STEPS


def measured(tmp_path: Path, **how: Any) -> tuple[CompileReport, int, VerifyReport]:
    """On the M4: the sizes, the bytes that the table of identifiers takes, and 20 steps."""
    needs_tool("qemu-system-arm")
    program = learning("sgd", "mps2-an386", **how)
    table = sum(b.bytes for b in program.of_kind("state") if b.name in TABLE)
    report = write_project(program, tmp_path / "out")
    return report, table, verify(tmp_path / "out", samples=20, steps=20, link="qemu")


def test_all_of_it_learns_in_20_kilobytes(tmp_path: Path) -> None:
    report, table, run = measured(tmp_path)
    assert run.bit_exact
    assert report.ram_bytes is not None
    assert table < 1500
    assert report.ram_bytes < 20 * 1024


def test_the_last_layer_learns_in_3_kilobytes_and_quickly(tmp_path: Path) -> None:
    report, table, run = measured(tmp_path, update="last")
    assert run.bit_exact
    assert report.ram_bytes is not None
    assert report.ram_bytes - table < 3 * 1024
    step, inference = run.instructions["train_step"], run.instructions["infer"]
    assert step is not None
    assert inference is not None
    assert step <= 3 * inference
