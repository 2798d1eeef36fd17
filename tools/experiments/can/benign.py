"""Benign traffic alone: an autoencoder that learns it on the device, and attacks it never saw."""

from collections.abc import Iterator
from functools import cache, partial
from typing import Any, Final

import numpy as np

from edgetrain.can.features import extract
from edgetrain.train.network import outputs
from tools.experiments.can import ford, road, volvo
from tools.experiments.can.adapt import Outputs, adapt, best_rate
from tools.experiments.can.autoencoders import autoencoder, surprise
from tools.experiments.can.traffic import Exam, Features
from tools.experiments.registry import SEEDS, Experiment, Parameters, Result, register

BITS: Final = (2, 4)
"""Of weights and activations."""
UPDATES: Final = ("last", "all")
RATES: Final = tuple(2.0**-power for power in (12, 10, 8, 6, 4, 2, 0))
LEARNED: Final = 16_000
"""The most frames that a device learns: ten seconds of the Volvo."""
VOLVO: Final = ((40.0, 50.0), (50.0, 70.0))
"""Seconds: learned, and for the threshold."""


def vehicles() -> tuple[str, ...]:
    """ROAD's captures are judged one by one."""
    return ("volvo", "ford", *road.CAPTURES)


def cases() -> Iterator[Parameters]:
    """As the host trained it on the Volvo, and after learning on the vehicle that is judged."""
    for vehicle in vehicles():
        for bits in BITS:
            for update in ("none", *UPDATES):
                yield {"vehicle": vehicle, "bits": bits, "update": update}


def run(parameters: Parameters, seed: int) -> Result:
    """Recall of every attack; the threshold is chosen on normal traffic of the vehicle that nothing
    has learned, anew for what was learned.  The vehicle's table is fitted on its normal traffic."""
    vehicle, bits, update = (parameters[name] for name in ("vehicle", "bits", "update"))
    network = autoencoder(bits, seed)
    if update == "none":
        return _judge(partial(outputs, network), vehicle)
    rate = _rate(vehicle, bits, update)
    learned = _learn(network, normal(vehicle), update, rate)
    return {"rate": rate, **_judge(learned, vehicle)}


@cache
def normal(vehicle: str) -> Features:
    """What a device learns, in order."""
    if vehicle == "volvo":
        return volvo.clean_features(VOLVO[0])[:LEARNED]
    if vehicle == "ford":
        return extract(ford.benign(ford.LEARNED)[:LEARNED], ford.table())
    return road.learned(vehicle)[:LEARNED]


@cache
def exam(vehicle: str) -> Exam:
    """Of the Volvo fresh attacks, and those of the published files."""
    if vehicle == "volvo":
        fresh = volvo.exam(VOLVO[1])
        return Exam(fresh.chosen_on, fresh.clean, fresh.attacks | volvo.published())
    return ford.exam() if vehicle == "ford" else road.exam(vehicle)


def _learn(network: Any, x: Features, update: str, rate: float) -> Outputs:
    return adapt(network, x, x.astype(np.float32), update=update, rate=rate, loss="multilabel")


def _rate(vehicle: str, bits: int, update: str) -> float:
    """That with which the last third of what is learned surprises least after the first two, for
    the first seed: no attack is needed to find it."""
    x = normal(vehicle)
    cut = len(x) * 2 // 3

    def cost(rate: float) -> float:
        learned = _learn(autoencoder(bits, SEEDS[0]), x[:cut], update, rate)
        return float(surprise(learned(x[cut:]), x[cut:]).mean())

    return best_rate(f"benign-{vehicle}-{bits}-{update}", cost, RATES)


def _judge(of: Outputs, vehicle: str) -> Result:
    return {**exam(vehicle).alarms(lambda x: surprise(of(x), x))}


register(Experiment("benign", cases, run))
