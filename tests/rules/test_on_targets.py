"""Rules with an inference graph or states of their own, bit for bit on targets."""

from pathlib import Path

import pytest

from edgetrain.compiler.rules import Learning
from edgetrain.pipeline import compile_model
from tests.rules.networks import network
from tests.support import assert_bit_exact

OPTIONS = {
    "forward-forward": (("classes", 3),),
    "counter-current": (),
    "noprop": (("blocks", 2), ("noise", 1.0)),
}


@pytest.mark.parametrize("board", ["mps2-an386", "qemu-rv32imc"])
@pytest.mark.parametrize("rule", OPTIONS)
def test_training_and_inference_are_bit_exact(rule: str, board: str, tmp_path: Path) -> None:
    how = Learning(rate=2.0**-5, batch=2 if board == "qemu-rv32imc" else 1, options=OPTIONS[rule])
    net = network(tmp_path, (21, 13, 9, 4))
    program = compile_model(net.path, board, learn=rule, how=how)
    assert_bit_exact(program, tmp_path / "out", samples=50)
