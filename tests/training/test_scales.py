"""Steps of weights that learn (LSQ): against PyTorch's autograd, and against fresh compiles."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.rules import Learning
from edgetrain.compiler.rules.network import Network
from edgetrain.compiler.types import Int
from edgetrain.pipeline import Program, compile_model
from edgetrain.workloads import find_model
from tests.oracles.models import random_qonnx
from tests.support import assert_bit_exact
from tests.training.models import random_layers, write_mlp, write_quantised_mlp
from tests.training.test_quantised import Reference, samples

SIZES = (20, 9, 7, 4)
RATE = 2.0**-5


def learner(tmp_path: Path, bits: str, board: str = "host", **how: Any) -> Program:
    path = write_quantised_mlp(tmp_path / "net.onnx", *random_layers(SIZES, seed=3), bits)
    chosen: dict[str, Any] = {"rate": RATE, "scales": "learned", **how}
    return compile_model(path, board, learn="sgd", how=Learning(**chosen))


def units(program: Program) -> dict[str, Any]:
    """What 1 of each parameter is in real numbers; of latents, 1 of what they are rounded to."""
    network = program.sources[0]
    assert isinstance(network, Network)
    return {state.name: each.unit for state, each in network.learnable.items()}


class Steps(torch.autograd.Function):
    """ŵ by equations 1 and 2 of the paper; its gradient by s is equation 3 times `share`, and by w
    it goes straight through."""

    @staticmethod
    def forward(ctx: Any, w: Any, s: Any, most: int, share: float) -> Any:
        v = w / s
        ctx.save_for_backward(v)
        ctx.most, ctx.share = most, share
        return torch.clamp(torch.round(v), -most, most) * s

    @staticmethod
    def backward(ctx: Any, d: Any) -> Any:
        (v,), most = ctx.saved_tensors, ctx.most
        slope = torch.where(v <= -most, -most, torch.where(v >= most, most, torch.round(v) - v))
        return d, (d * slope).sum(0) * ctx.share, None, None


class LearnedSteps(Reference):
    """The network of `test_quantised`, of which a step a channel of weights learns too."""

    def loss_and_gradients(self, codes: Any, label: int, state: dict[str, Any]) -> Any:
        named = {name: torch.tensor(a, requires_grad=True) for name, a in state.items()}
        a = torch.tensor(codes * 2.0**-5, dtype=torch.float64)
        for layer in range(3):
            w, s, b = (named[f"{kind}{layer}"] for kind in "wgb")
            share = (w.shape[0] * self.levels) ** -0.5
            z = a @ Steps.apply(w, s, self.levels, share) + b  # type: ignore[no-untyped-call]
            steps = torch.relu(z) / self.step
            held = torch.clamp(steps + (torch.round(steps) - steps).detach(), 0, self.most)
            a = held * self.step
        loss = torch.nn.functional.cross_entropy(z[None], torch.tensor([label]))
        gradients = torch.autograd.grad(loss, list(named.values()))
        found = zip(named, (gradient.numpy() for gradient in gradients), strict=True)
        return float(loss.detach()), dict(found)


@pytest.mark.parametrize("latent", ["int16", "fp16"])
@pytest.mark.parametrize("precision", ["w2a2", "w4a4"])
def test_a_step_is_pytorch_s(precision: str, latent: str, tmp_path: Path) -> None:
    program = learner(tmp_path, precision, latent=latent)
    reference, simulator, unit = LearnedSteps(precision), program.simulator(), units(program)
    fraction = int(np.floor(np.log2((2**15 - 1) / (2 * (reference.levels + 0.5)))))
    finest = 1.0 if latent == "fp16" else 2.0**-fraction

    def numbers() -> dict[str, Any]:
        found = {name: simulator.state[name] * unit[name] for name in unit}
        latents = {
            n: simulator.state[f"latent_{n}"] * (finest * unit[n]) for n in ("w0", "w1", "w2")
        }
        return {name: np.float64(array) for name, array in (found | latents).items()}

    first, moved = numbers(), []
    for x, label in samples(12):
        before = numbers()
        found = simulator.train_step(x, label)
        loss, gradients = reference.loss_and_gradients(x, label, before)
        assert found == pytest.approx(loss, rel=1e-4, abs=1e-5)
        after = numbers()
        for name, gradient in gradients.items():
            kept = before[name] - RATE * gradient
            coarse = 1.0
            if name.startswith("w"):
                most = 2 * (reference.levels + 0.5) * unit[name]
                kept = np.clip(kept, -most, most)
                coarse = 2.0**-10 * 2 * reference.levels if latent == "fp16" else 1.5 * finest
            if name.startswith("g"):
                kept = np.clip(kept, first[name] / 8, 2 * first[name])
            np.testing.assert_allclose(after[name], kept, rtol=1e-5, atol=coarse * unit[name].max())
        moved += [abs(RATE * gradients[f"g{n}"] / unit[f"g{n}"]).max() for n in range(3)]
    # In units of a gain: the comparison says something.
    assert np.median(moved) > 10


@pytest.mark.parametrize(
    ("bits", "how"),
    [
        ("w2a2", {"latent": "int16"}),
        ("w2a2", {"latent": "fp16"}),
        ("w4a4", {"latent": "int8", "batch": 2}),
        ("w4a4", {"rounding": "stochastic", "decay": 0.01}),
        ("w5a2", {"precision": "pow2"}),
        ("w2a2", {"update": "last,g2,w0,g0"}),
    ],
    ids=str,
)
def test_what_is_deployed_is_what_a_fresh_compile_gives(
    bits: str, how: dict[str, Any], tmp_path: Path
) -> None:
    program = learner(tmp_path, bits, **how)
    simulator, unit = program.simulator(), units(program)
    first = {name: array.copy() for name, array in simulator.state.items()}
    batch = how.get("batch", 1)
    drawn = list(samples(40 * batch))
    for n in range(0, len(drawn), batch):
        x, labels = (np.array(each) for each in zip(*drawn[n : n + batch], strict=True))
        simulator.train_step(x if batch > 1 else x[0], labels if batch > 1 else labels[0])
    state = simulator.state
    learned = [name for name in unit if name.startswith("g")]
    assert learned
    for name in learned:
        assert (state[name] != first[name]).any()
        growth = state[name] / first[name]
        assert growth.min() > 0.12
        assert growth.max() <= 2
        if how.get("precision") != "pow2":
            check_rounding(state, name.replace("g", "w"), growth, int(bits[1]))
    again = Learning(scales="learned", precision=how.get("precision"))
    fresh = compile_model(tmp_path / "net.onnx", how=again, state=state)
    x = np.random.default_rng(4).normal(0, 2, (300, SIZES[0])).astype(np.float32)
    np.testing.assert_array_equal(simulator.infer(x), fresh.simulator().infer(x))


def check_rounding(state: Any, name: str, growth: Any, width: int) -> None:
    """What is deployed is what latents are by the steps that are now; of ties we do not speak."""
    levels = 2 ** (width - 1) - 1
    latents = state[f"latent_{name}"].astype(np.float64)
    if (
        latents.dtype != state[f"latent_{name}"].dtype
        and state[f"latent_{name}"].dtype != np.float16
    ):
        limit = 2 ** (state[f"latent_{name}"].dtype.itemsize * 8 - 1) - 1
        latents *= 2.0 ** -int(np.floor(np.log2(limit / (2 * (levels + 0.5)))))
    steps = latents / growth
    near_a_tie = abs(steps - np.floor(steps) - 0.5) < 1e-5
    expected = np.clip(np.rint(steps), -levels, levels)
    assert ((state[name] == expected) | near_a_tie).all()


def test_a_batch_norm_s_gains_are_steps_too(tmp_path: Path) -> None:
    """Of the shipped detector, and of random networks: with factors of both signs, and zero."""
    paths = [find_model("can-ids-w2a2")]
    for seed in range(25):
        paths.append(tmp_path / f"{seed}.onnx")
        paths[-1].write_bytes(random_qonnx(seed).model.SerializeToString())
    learned = 0
    for path in paths:
        try:
            program = compile_model(path, learn="sgd", how=Learning(rate=1e-3, scales="learned"))
        except InputError:
            continue
        simulator, rng = program.simulator(), np.random.default_rng(1)
        first = {name: array.copy() for name, array in simulator.state.items()}
        (size,), within = program.input_code.type.shape, program.input_code.type.scalar
        assert isinstance(within, Int)
        codes = rng.integers(within.lo, within.hi + 1, (100, size))
        for code in codes[:12]:
            simulator.train_step(code, int(rng.integers(max(program.output_code.type.size, 2))))
        gains = [name for name in first if name.startswith("g") and name[1:].isdigit()]
        learned += any((simulator.state[name] != first[name]).any() for name in gains)
        fresh = compile_model(path, how=Learning(scales="learned"), state=simulator.state)
        for mine, theirs in zip(
            simulator.run_batch("infer", codes),
            fresh.simulator().run_batch("infer", codes),
            strict=True,
        ):
            np.testing.assert_array_equal(mine, theirs)
    assert learned > 4


def test_before_the_first_step_nothing_is_another(tmp_path: Path) -> None:
    learned = learner(tmp_path, "w4a4").simulator()
    frozen = learner(tmp_path, "w4a4", scales="frozen").simulator()
    x = np.random.default_rng(4).normal(0, 2, (300, SIZES[0])).astype(np.float32)
    np.testing.assert_array_equal(learned.infer(x), frozen.infer(x))


def test_learning_goes_on_from_a_state(tmp_path: Path) -> None:
    whole = learner(tmp_path, "w2a2").simulator()
    steps = list(samples(30))
    for x, label in steps[:15]:
        whole.train_step(x, label)
    how = Learning(rate=RATE, scales="learned")
    path = tmp_path / "net.onnx"
    resumed = compile_model(path, learn="sgd", how=how, state=whole.state).simulator()
    for x, label in steps[15:]:
        assert whole.train_step(x, label) == resumed.train_step(x, label)
    assert all(np.array_equal(a, resumed.state[name]) for name, a in whole.state.items())


@pytest.mark.parametrize(
    ("board", "bits", "how"),
    [
        ("host", "w4a4", {"latent": "int8", "batch": 2}),
        ("mps2-an386", "w2a2", {}),
        ("qemu-rv32imc", "w4a2", {"precision": "pow2"}),
        ("mps3-an547", "w2a2", {"latent": "fp16"}),
    ],
    ids=str,
)
def test_is_bit_exact(board: str, bits: str, how: Any, tmp_path: Path) -> None:
    assert_bit_exact(learner(tmp_path, bits, board, **how), tmp_path / "out", samples=40)


def test_is_refused_where_it_is_not_meant(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown scales 'all'; known: frozen, learned"):
        Learning(scales="all")
    for precision in ("fp32", "int8", "integer"):
        with pytest.raises(InputError, match=f"scales do not learn in {precision}"):
            Learning(scales="learned", precision=precision)
    floats = write_mlp(tmp_path / "floats.onnx", *random_layers(SIZES, seed=3))
    with pytest.raises(InputError, match="scales do not learn in fp32"):
        compile_model(floats, learn="sgd", how=Learning(scales="learned"))
    with pytest.raises(InputError, match="no scale can learn"):
        learner(tmp_path, "w2a2", update="last")
    with pytest.raises(InputError, match="latents are finer than weights"):
        learner(tmp_path, "w7a2", latent="int8")
    with pytest.raises(InputError, match="zeroth-order learns no scales"):
        compile_model(tmp_path / "net.onnx", learn="zeroth-order", how=Learning(scales="learned"))


def test_a_state_with_learned_scales_says_so(tmp_path: Path) -> None:
    path = write_quantised_mlp(tmp_path / "net.onnx", *random_layers(SIZES, seed=3), "w2a2")
    program = learner(tmp_path, "w2a2")
    with pytest.raises(InputError, match=r"gains g0, g1, g2.*give --scales learned"):
        compile_model(path, state=program.initial)
