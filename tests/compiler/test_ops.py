"""Every op of the table: the simulator against a plain interpreter of the op's nest."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.random import Generator

from edgetrain.compiler.contract import Contract
from edgetrain.compiler.expr import Dim, Local, add, lift, lt, mul, select
from edgetrain.compiler.nest import Fold, Nest, Out, Read
from edgetrain.compiler.ops import OPS, Example
from edgetrain.compiler.types import FLOAT32, Int, TensorType
from edgetrain.executor import NestExecutor, Tensor
from tests.c.op_graphs import with_contract
from tests.compiler.draws import Array, draw, equal, in_half
from tests.compiler.interpreter import interpret

SEEDS = 12
BATCH = 3


def operands(example: Example, rng: Generator) -> list[Array]:
    drawn = [draw(rng, kind) for kind in example.operands]
    for position in example.sorted_operands:
        drawn[position] = np.sort(drawn[position], axis=-1)
    return drawn


def batched(rows: Sequence[Array]) -> Tensor:
    return Tensor(np.stack(rows, axis=-1), True)


def check(nest: Nest, samples: list[list[Array]], shared: set[int]) -> None:
    """Each sample alone, then all together with the operands in `shared` the same for all."""
    for sample in samples:
        for position in shared:
            sample[position] = samples[0][position]
    expected = [interpret(nest, sample) for sample in samples]
    # Constants as the plan gives them, and as any other operand.
    for fixed in ({}, {position: samples[0][position] for position in shared}):
        executor = NestExecutor(nest, fixed)
        for sample, rights in zip(samples, expected, strict=True):
            results = executor([Tensor(array, False) for array in sample])
            for result, right in zip(results, rights, strict=True):
                assert not result.batched
                assert equal(result.array, right)
        together = [
            Tensor(samples[0][position], False)
            if position in shared
            else batched([sample[position] for sample in samples])
            for position in range(len(nest.reads))
        ]
        if len(shared) == len(nest.reads):
            continue
        for position, result in enumerate(executor(together)):
            assert result.batched
            for row, rights in enumerate(expected):
                assert equal(result.array[..., row], rights[position])


OF_HALVES = {"matmul", "matmul_t", "outer", "rank_one", "sgd", "momentum", "affine", "add", "mul"}
OF_HALVES |= {"relu", "leaky_relu", "sigmoid", "tanh", "relu_gradient", "leaky_relu_gradient"}
OF_HALVES |= {"sigmoid_gradient", "tanh_gradient"}


def test_what_a_network_in_half_precision_needs_takes_halves() -> None:
    rng = np.random.default_rng(3)
    for name in sorted(OF_HALVES):
        examples = [OPS[name].example(rng) for _ in range(SEEDS)]
        assert any(in_half(OPS[name], example) for example in examples), name


@pytest.mark.parametrize("name", OPS)
def test_an_op_means_what_its_nest_says(name: str) -> None:
    op = OPS[name]
    rng = np.random.default_rng([11, *name.encode()])
    for seed in range(SEEDS):
        example = op.example(rng)
        if seed % 2:
            example = in_half(op, example) or example
        nest = op.meaning(*example.operands, **example.attributes)
        samples = [operands(example, rng) for _ in range(BATCH)]
        check(nest, samples, set())
        count = len(example.operands)
        check(
            nest, samples, set(rng.choice(count, int(rng.integers(count)), replace=False).tolist())
        )
        check(nest, samples, set(range(1, count)))


def reads(*kinds: tuple[str, tuple[Dim, ...], TensorType]) -> tuple[Read, ...]:
    return tuple(Read(*kind) for kind in kinds)


def nests() -> dict[str, Nest]:
    """Forms that no op of the table has."""
    i, j, k = Dim("i", 3), Dim("j", 4), Dim("k", 5)
    small = Int(-9, 9)
    x, t = (
        Read("x", (i, j), TensorType((3, 4), small)),
        Read("t", (j, i), TensorType((4, 3), small)),
    )
    v = Read("v", (k,), TensorType((5,), Int(0, 2)))
    gathered = Read("g", (v.value,), TensorType((3,), Int(-(2**40), 2**40)))
    f = Read("f", (i, j, k), TensorType((3, 4, 5), FLOAT32))
    total = Fold("add", f.value, lift(0.5, FLOAT32), FLOAT32)
    greatest = Fold("max", add(x.value, k), lift(-99), Int(-99, 13))
    square = Fold("add", mul(x.value, x.value), lift(7), Int(0, 1000))
    nowhere = Fold("add", add(x.value, t.value), lift(1), Int(-17, 19))
    sizes = (("i", 3), ("j", 4), ("k", 5))
    return {
        "transposed": Nest(
            sizes[:2],
            (x, t),
            (Out("y", ("j", "i"), Int(-18, 18), add(x.value, t.value)),),
        ),
        "gathered": Nest(
            (("k", 5),),
            (v, gathered),
            (Out("y", ("k",), Int(-(2**41), 2**41), mul(gathered.value, 2)),),
        ),
        "ordered sum": Nest(sizes, (f,), (Out("y", ("j",), FLOAT32, total.result, total),)),
        "sum of all": Nest(sizes, (f,), (Out("y", (), FLOAT32, total.result, total),)),
        "index in a fold": Nest(
            sizes, (x,), (Out("y", ("j", "i"), Int(-99, 13), greatest.result, greatest),)
        ),
        "fold over nothing": Nest(
            sizes[:2], (x, t), (Out("y", ("i", "j"), nowhere.type, nowhere.result, nowhere),)
        ),
        "several outputs": Nest(
            sizes[:2],
            (x,),
            (
                Out(
                    "y",
                    ("i",),
                    Int(-1000, 1000),
                    select(lt(7, square.result), square.result, 0),
                    square,
                ),
                Out("z", ("j", "i"), Int(-9, 12), add(x.value, j)),
                Out("s", (), Int(0, 1000), Local("acc", Int(0, 1000)), square),
            ),
        ),
        "only indices": Nest(sizes[:2], (), (Out("y", ("i", "j"), Int(0, 5), add(i, j)),)),
        "constant": Nest((), (), (Out("y", (), Int(4, 4), lift(4)),)),
    }


@pytest.mark.parametrize("name", nests())
def test_a_nest_of_another_form(name: str) -> None:
    nest = nests()[name]
    rng = np.random.default_rng([12, *name.encode()])
    for _ in range(SEEDS):
        samples = [[draw(rng, r.type) for r in nest.reads] for _ in range(BATCH)]
        check(nest, samples, set())
        check(nest, samples, set(range(1, len(nest.reads))))


@pytest.mark.parametrize("lanes", [1, 2, 8])
@pytest.mark.parametrize("fused", [False, True])
def test_a_float_sum_keeps_its_contract(lanes: int, fused: bool) -> None:
    rng = np.random.default_rng([17, lanes, fused])
    for k in (1, lanes - 1 or 1, lanes, 2 * lanes + 1, 5 * lanes + 3):
        kinds = [TensorType(shape, FLOAT32) for shape in ((k,), (k, 4), (4,))]
        nest = with_contract(OPS["matmul"].meaning(*kinds), Contract(fused, lanes))
        check(nest, [[draw(rng, kind) for kind in kinds] for _ in range(BATCH)], set())


def test_contracts_are_told_apart() -> None:
    """On sums of ordinary numbers, no two orders give the same bits throughout."""
    rng = np.random.default_rng(18)
    kinds = [TensorType(shape, FLOAT32) for shape in ((50,), (50, 30))]
    operands = [rng.normal(0, 1, kind.shape).astype(np.float32) for kind in kinds]
    nest = OPS["matmul"].meaning(*kinds)
    contracts = [Contract(fused, lanes) for lanes in (1, 2, 4, 8) for fused in (False, True)]
    results = {
        NestExecutor(with_contract(nest, contract), {})([Tensor(a, False) for a in operands])[
            0
        ].array.tobytes()
        for contract in contracts
    }
    assert len(results) == len(contracts)
