"""Weights that are 0 or a power of two: how they are rounded, imported, deployed and learned."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.expr import Apply, subexpressions
from edgetrain.compiler.learnable import nearest_power_code, power_codes, powers_of
from edgetrain.compiler.ops import OPS
from edgetrain.compiler.rules import Learning
from edgetrain.compiler.types import FLOAT32, Int, TensorType
from edgetrain.executor import NestExecutor, Tensor
from edgetrain.networks import Bits, quantised_mlp
from edgetrain.pipeline import Program, compile_model
from tests.support import assert_bit_exact
from tests.training.models import random_layers, write_mlp, write_quantised_mlp
from tests.training.test_quantised import Reference, compare_with_torch, samples

SIZES = (20, 9, 7, 4)
LEVELS = {"w2a2": Int(-1, 1), "w4a2": Int(-7, 7), "w8a4": Int(-127, 127)}


def powers(levels: Int) -> dict[int, int]:
    """Codes by what they stand for."""
    codes = {sign * 2**k: sign * (k + 1) for k in range(9) for sign in (1, -1)}
    return {0: 0} | {n: code for n, code in codes.items() if levels.lo <= n <= levels.hi}


def rounded(x: Fraction, levels: Int) -> int:
    """By trying all: the nearest; of two as near the even one, of two even the larger."""
    return min(powers(levels), key=lambda n: (abs(n - x), n % 2, -abs(n)))


def rounded_code(x: Fraction, levels: Int) -> int:
    return powers(levels)[rounded(x, levels)]


def meaning(op: str, array: Any, kind: Any, **how: Any) -> Any:
    nest = OPS[op].meaning(TensorType(array.shape, kind), **how)
    (result,) = NestExecutor(nest, {})([Tensor(array, False)])
    return result.array


@pytest.mark.parametrize("levels", [Int(-127, 127), Int(-8, 7), Int(-2, 1), Int(-1, 1)])
def test_every_number_becomes_the_nearest(levels: Int) -> None:
    fraction = 3
    latents = np.arange(-(150 << fraction), (150 << fraction) + 1)
    expected = [rounded_code(Fraction(int(n), 1 << fraction), levels) for n in latents]
    within = power_codes(levels)
    assert (within.lo, within.hi) == (min(expected), max(expected))
    np.testing.assert_array_equal(nearest_power_code(latents / 8, within), expected)
    known = powers(levels)
    np.testing.assert_array_equal(powers_of(np.array(list(known.values()))), list(known))
    how: dict[str, Any] = {"within": within, "powers": True}
    kind = Int(int(latents[0]), int(latents[-1]))
    found = meaning("round_fixed", latents, kind, fraction=fraction, **how)
    np.testing.assert_array_equal(found, expected)
    whole = meaning("round_fixed", latents, kind, fraction=0, **how)
    np.testing.assert_array_equal(whole, [rounded_code(Fraction(int(n)), levels) for n in latents])
    floats = (latents / 8).astype(np.float32)
    np.testing.assert_array_equal(meaning("quantise", floats, FLOAT32, factor=1.0, **how), expected)


@pytest.mark.parametrize("x", [Int(0, 3), Int(-128, 127)])
def test_a_code_shifts_what_it_multiplies(x: Int) -> None:
    codes = np.arange(-8, 8)
    kinds = TensorType((1,), x), TensorType((1, 16), Int(-8, 7))
    nest = OPS["matmul"].meaning(*kinds, powers=True)
    for number in (x.lo, 1, x.hi):
        operands = [Tensor(np.array(array), False) for array in ([number], [codes])]
        (result,) = NestExecutor(nest, {})(operands)
        np.testing.assert_array_equal(result.array, number * powers_of(codes))


def network(path: Path, weights: Any, precision: str) -> Path:
    """With steps that are powers of two, so that products with them are exact."""
    _, biases = random_layers(SIZES, seed=3)
    width, results = int(precision[1]), int(precision[3])
    bits = Bits((width,) * 3, results, 2.0**-5, (2.0 ** (1 - width),) * 3, 3.0 / 2**results)
    onnx.save(quantised_mlp(weights, biases, bits), str(path))
    return path


@pytest.mark.parametrize("precision", LEVELS)
def test_a_model_of_such_weights_is_imported_as_it_is(precision: str, tmp_path: Path) -> None:
    """And any other infers as the one with its weights rounded."""
    levels, step = LEVELS[precision], Fraction(2) ** (1 - int(precision[1]))
    weights, _ = random_layers(SIZES, seed=3)
    chosen = [
        np.array([rounded(Fraction(float(v)) / step, levels) for v in w.flat]).reshape(w.shape)
        for w in weights
    ]
    numbers = [(integers * float(step)).astype(np.float32) for integers in chosen]
    models = [
        (network(tmp_path / "any.onnx", weights, precision), "pow2"),
        (network(tmp_path / "powers.onnx", numbers, precision), "pow2"),
        (network(tmp_path / "powers.onnx", numbers, precision), None),
    ]
    x = np.random.default_rng(4).normal(0, 2, (200, SIZES[0])).astype(np.float32)
    results = []
    for path, wanted in models:
        program = compile_model(path, how=Learning(precision=wanted))
        for integers in chosen:
            stored = np.vectorize(powers(levels).get)(integers) if wanted else integers
            held = [a for a in program.constants.values() if a.shape == integers.shape]
            assert any(np.array_equal(stored, array) for array in held)
        results.append(program.simulator().infer(x))
    assert all(np.array_equal(results[0], other) for other in results[1:])
    assert len(np.unique(results[0])) > 20


@pytest.mark.parametrize("precision", LEVELS)
def test_no_weight_is_multiplied(precision: str, tmp_path: Path) -> None:
    """Of all that inference computes, in a program that learns and in one that does not."""
    learns = learner(tmp_path, precision)
    fixed = compile_model(tmp_path / "net.onnx", how=Learning(precision="pow2"))
    for program in (learns, fixed):
        layers = 0
        for call in program.entry("infer").calls:
            reads = dict(zip(call.nest.reads, call.inputs, strict=True))
            weights = {r.value for r, name in reads.items() if name in weights_of(program)}
            layers += bool(weights)
            for expr in (e for out in call.nest.outs for e in out.expressions):
                products = [e for e in subexpressions(expr) if isinstance(e, Apply)]
                for each in (e for e in products if e.op in ("mul", "fma", "mul_wrap")):
                    assert not weights & set(subexpressions(each))
        assert layers == 3


def weights_of(program: Program) -> set[str]:
    """The buffers of weights, in packed codes: of four bits, of two where these suffice."""
    found = {
        name
        for name in (*program.constants, *program.initial)
        if len(program.buffers[name].type.shape) == 2
        and program.buffers[name].type.shape in list(pairwise(SIZES))
        and not name.startswith("latent")
    }
    assert {program.buffers[name].layout.bits for name in found} <= {2, 4}
    return found


def learner(tmp_path: Path, precision: str, board: str = "host", **how: Any) -> Program:
    path = write_quantised_mlp(tmp_path / "net.onnx", *random_layers(SIZES, seed=3), precision)
    chosen = Learning(rate=2.0**-5, precision="pow2", **how)
    return compile_model(path, board, learn="sgd", how=chosen)


@pytest.mark.parametrize("latent", ["int16", "int8", "fp16"])
@pytest.mark.parametrize("precision", LEVELS)
def test_what_is_deployed_is_what_a_fresh_compile_gives(
    precision: str, latent: str, tmp_path: Path
) -> None:
    simulator = learner(tmp_path, precision, latent=latent).simulator()
    first = {name: array.copy() for name, array in simulator.state.items()}
    for x, label in samples(40):
        simulator.train_step(x, label)
    state = simulator.state
    levels = LEVELS[precision]
    most = 1.5 * max(powers(levels))
    exponent = int(np.floor(np.log2((2 ** (int(latent[-2:].strip("t")) - 1) - 1) / most)))
    unit = Fraction(1) if latent == "fp16" else Fraction(1, 2**exponent)
    for name in ("w0", "w1", "w2"):
        latents = state[f"latent_{name}"]
        expected = [rounded_code(Fraction(float(v)) * unit, levels) for v in latents.flat]
        np.testing.assert_array_equal(state[name].flat, expected)
        assert (state[name] != first[name]).any()
        assert np.abs(latents.astype(np.float64)).max() <= most / float(unit)
    fresh = compile_model(tmp_path / "net.onnx", how=Learning(precision="pow2"), state=state)
    x = np.random.default_rng(4).normal(0, 2, (300, SIZES[0])).astype(np.float32)
    np.testing.assert_array_equal(simulator.infer(x), fresh.simulator().infer(x))


class Powers(Reference):
    """In PyTorch, of weights that are powers of two."""

    def rounded(self, steps: torch.Tensor) -> torch.Tensor:
        levels = Int(-self.levels, self.levels)
        numbers = [rounded(Fraction(v), levels) for v in steps.reshape(-1).tolist()]
        return torch.tensor(numbers, dtype=torch.float64).reshape(steps.shape)

    @property
    def bound(self) -> float:
        return 1.5 * max(powers(Int(-self.levels, self.levels)))


@pytest.mark.parametrize("precision", ["w2a2", "w4a4", "w8a8"])
def test_a_step_is_pytorch_s(precision: str, tmp_path: Path) -> None:
    compare_with_torch(learner(tmp_path, precision), Powers(precision), "int16")


@pytest.mark.parametrize(
    ("board", "precision", "how"),
    [
        ("host", "w8a4", {"latent": "int8", "batch": 2}),
        ("mps2-an386", "w4a2", {}),
        ("qemu-rv32imc", "w8a4", {}),
        ("mps3-an547", "w2a2", {"latent": "fp16"}),
    ],
    ids=str,
)
def test_is_bit_exact(board: str, precision: str, how: Any, tmp_path: Path) -> None:
    assert_bit_exact(learner(tmp_path, precision, board, **how), tmp_path / "out", samples=30)


def test_codes_are_not_taken_for_integers(tmp_path: Path) -> None:
    program = learner(tmp_path, "w8a4")
    with pytest.raises(InputError, match="w0 of the state is not what its latents round to"):
        compile_model(tmp_path / "net.onnx", state=program.initial)


def test_a_float_model_is_refused(tmp_path: Path) -> None:
    path = write_mlp(tmp_path / "net.onnx", *random_layers(SIZES, seed=3))
    with pytest.raises(InputError, match="a float model does not compute in pow2"):
        compile_model(path, how=Learning(precision="pow2"))
