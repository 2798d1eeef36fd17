"""A plain NumPy reference, in float64, of rules that learn from losses alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Parameters = Mapping[str, Array]
FIRST_STREAM = 2**16


def scramble(x: Any) -> Any:
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor) & np.uint64(2**32 - 1)
    return x ^ (x >> np.uint64(16))


def random_bits(seed: int, stream: int, step: int, index: Array) -> Any:
    key = scramble(np.uint64(seed)) ^ np.uint64(FIRST_STREAM + stream)
    of_step = scramble(scramble(key) ^ np.uint64(step))
    return scramble(scramble(key ^ index.astype(np.uint64)) ^ of_step)


def drawn(
    seed: int,
    stream: int,
    step: int,
    shape: tuple[int, ...],
    number: int = 0,
    signs: bool = False,
) -> Array:
    """Normal numbers, or signs, as the device has them: of 22 bits, hence exact in float32."""
    size = int(np.prod(shape))
    bits = random_bits(seed, stream, step, np.arange(size) + number * size).reshape(shape)
    if signs:
        return np.where(bits >> np.uint64(31), -1.0, 1.0)
    c = sum((bits >> np.uint64(8 * i) & np.uint64(255)).astype(np.int64) for i in range(4)) - 510
    return np.asarray(c * ((3453432 + 3 * c * c) // 256) / 2**21)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "Relu": lambda z: np.maximum(z, 0),
    "LeakyRelu": lambda z: np.where(z < 0, z / 8, z),
    "Sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "Tanh": np.tanh,
    "Identity": lambda z: z,
}


def loss_of(loss: str, z: Array, target: Any) -> float:
    z = z.astype(np.float64)
    if loss == "mse":
        return float(np.mean((z - target) ** 2))
    if loss == "hinge":
        margins = np.maximum(0, 1 + z - z[target])
        return float(margins.sum() - margins[target])
    if loss == "bce":
        return float(np.logaddexp(0, z).sum() - z[target])
    if loss == "multilabel":
        return float((np.logaddexp(0, z) - z * target).sum())
    return float(np.log(np.exp(z - z.max()).sum()) - (z[target] - z.max()))


def layers(parameters: Parameters) -> int:
    return sum(name.startswith("w") for name in parameters)


def sums(parameters: Parameters, layer: int, a: Array) -> Array:
    return np.asarray(a.astype(np.float64) @ parameters[f"w{layer}"] + parameters[f"b{layer}"])


def onwards(parameters: Parameters, activation: str, layer: int, z: Array) -> Array:
    """The outputs of the network, from the sums of a layer."""
    for above in range(layer + 1, layers(parameters)):
        z = sums(parameters, above, ACTIVATIONS[activation](z))
    return z


def mean_loss(
    activation: str, loss: str, x: Sequence[Array], targets: Sequence[Any]
) -> Callable[[Parameters], float]:
    """That of some samples, as a function of the parameters."""

    def of(parameters: Parameters) -> float:
        outputs = [onwards(parameters, activation, 0, sums(parameters, 0, a)) for a in x]
        return float(np.mean([loss_of(loss, z, t) for z, t in zip(outputs, targets, strict=True)]))

    return of


def ends(
    losses: Callable[[Parameters], float],
    parameters: Parameters,
    direction: Parameters,
    epsilon: float,
) -> tuple[float, float]:
    """The losses on both sides along a direction; the parameters move in float32."""

    def moved(by: float) -> dict[str, Array]:
        steps = {name: (z * np.float32(by)).astype(np.float32) for name, z in direction.items()}
        return {name: w + steps[name] for name, w in parameters.items()}

    return losses(moved(epsilon)), losses(moved(-epsilon))


def likelihood_ratio(
    parameters: Parameters,
    activation: str,
    loss: str,
    x: Array,
    target: Any,
    noise: Callable[[int, int, int, int], Array],
    sample: int,
    sigma: float,
    pairs: int,
) -> dict[str, Array]:
    """The gradients of one sample; `noise(layer, pair, size, sample)`."""
    found: dict[str, Array] = {}
    a = x.astype(np.float64)
    for layer in range(layers(parameters)):
        z = sums(parameters, layer, a)
        d = np.zeros_like(z)
        for pair in range(pairs):
            e = noise(layer, pair, len(z), sample)
            up, down = (
                loss_of(loss, onwards(parameters, activation, layer, z + by * e), target)
                for by in (sigma, -sigma)
            )
            d += (up - down) / (2 * sigma * pairs) * e
        found |= {f"w{layer}": np.outer(a, d), f"b{layer}": d}
        a = ACTIVATIONS[activation](z)
    return found
