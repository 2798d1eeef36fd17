"""Which numerics the vector kernels promise."""

import pytest

from edgetrain.compiler.contract import Contract
from edgetrain.compiler.expr import Dim, Expr, lift, mul
from edgetrain.compiler.nest import Nest, Out, Read, fold
from edgetrain.compiler.types import Float, TensorType
from edgetrain.kernels.c.kernels import KERNELS, VectorKernel

SIZE = 32


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
@pytest.mark.parametrize(("op", "product"), [("add", True), ("add", False), ("max", True)])
def test_only_sums_of_products_are_fused(kernel: VectorKernel, op: str, product: bool) -> None:
    scalar = Float(min(kernel.unit.floats))
    k, n = Dim("k", SIZE), Dim("n", SIZE)
    x = Read("x", (k,), TensorType((SIZE,), scalar))
    w = Read("w", (k, n), TensorType((SIZE, SIZE), scalar))
    term: Expr = mul(x.value, w.value) if product else w.value
    made = fold(op, term, lift(0, scalar), SIZE)
    out = Out("y", ("n",), scalar, made.result, made)
    contracts = kernel.contracts(Nest((("n", SIZE), ("k", SIZE)), (x, w), (out,)))
    assert contracts == (Contract(fused=op == "add" and product),)
