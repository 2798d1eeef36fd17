"""Rules with an inference graph or states of their own, bit for bit on targets."""

from pathlib import Path

import pytest

from edgetrain.board import load_board
from edgetrain.compiler.rules import Learning
from edgetrain.pipeline import compile_model, write_project
from edgetrain.verify import verify
from tests.rules.networks import network
from tests.support import needs_tool

OPTIONS = {
    "forward-forward": (("classes", 3),),
    "counter-current": (),
    "noprop": (("blocks", 2), ("noise", 1.0)),
}


@pytest.mark.parametrize("board", ["mps2-an386", "qemu-rv32imc"])
@pytest.mark.parametrize("rule", OPTIONS)
def test_training_and_inference_are_bit_exact(rule: str, board: str, tmp_path: Path) -> None:
    qemu = load_board(board).qemu
    if qemu is not None:
        needs_tool(qemu.program)
    how = Learning(rate=2.0**-5, batch=2 if board == "qemu-rv32imc" else 1, options=OPTIONS[rule])
    net = network(tmp_path, (21, 13, 9, 4))
    program = compile_model(net.path, board, learn=rule, how=how)
    write_project(program, tmp_path / "out")
    report = verify(tmp_path / "out", samples=50)
    assert report.bit_exact, report.first_mismatch
