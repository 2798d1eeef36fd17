"""What a learning rule is, and the table of all."""

from collections.abc import Callable
from dataclasses import dataclass
from math import nan

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph
from edgetrain.compiler.ops.loss import LOSSES, Loss
from edgetrain.compiler.ops.schedule import MOST_STEPS, SCHEDULES

MOST_SAMPLES = 4096
"""In a batch."""

PRECISIONS = ("fp32", "fp16")
ROUNDINGS = ("nearest", "stochastic")
LOSS_SCALES = tuple(2.0**power for power in range(25))


@dataclass(frozen=True, slots=True)
class Learning:
    """How a network learns: loss, learning rate, weight decay, the share of its momentum that the
    rule `momentum` keeps a step, and how the rate changes.

    `schedule`: after `schedule_steps` steps the rate is `schedule_factor` of what it was: at once
    and again after as many more (step), or led there in a line (linear) or half a wave (cosine).
    It rises to its first value during `warmup` steps, before which no schedule begins.
    `batch`: samples a step.  `update`: which parameters learn (see `choose` in update.py).

    `precision`: fp32 or fp16, of the network's numbers, also where it only infers.
    `loss_scale` of fp16: a power of two by which gradients are computed larger than they are, or
    dynamic (the default), where it is found while learning.  `rounding` of its parameters: nearest,
    or stochastic, up or down by random numbers of `seed` such that the mean is right.

    Raises InputError for a loss that there is not, or a number that cannot be meant.
    """

    loss: str = "cross-entropy"
    rate: float = 0.01
    decay: float = 0.0
    momentum: float = 0.9
    schedule: str = "constant"
    schedule_steps: int = 1000
    schedule_factor: float = 0.1
    warmup: int = 0
    batch: int = 1
    update: str = "all"
    precision: str = "fp32"
    loss_scale: float | str | None = None
    rounding: str = "nearest"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise InputError(f"unknown loss {self.loss!r}", remedy=f"known: {', '.join(LOSSES)}")
        if self.precision not in PRECISIONS:
            raise InputError(
                f"unknown precision {self.precision!r}", remedy=f"known: {', '.join(PRECISIONS)}"
            )
        for name, value in (("learning rate", self.rate), ("weight decay", self.decay)):
            if not 0 <= value < 1e6:
                raise InputError(f"the {name} is {value}", remedy="give a number from 0 to 1e6")
        self._check_scale()
        self._check_rounding()
        if not 0 <= self.momentum < 1:
            raise InputError(f"the momentum is {self.momentum}", remedy="give 0 to less than 1")
        if self.schedule not in SCHEDULES:
            raise InputError(
                f"unknown schedule {self.schedule!r}", remedy=f"known: {', '.join(SCHEDULES)}"
            )
        if not 0 <= self.schedule_factor <= 1:
            raise InputError(
                f"the schedule's factor is {self.schedule_factor}", remedy="give 0 to 1"
            )
        if not 1 <= self.batch <= MOST_SAMPLES:
            raise InputError(
                f"the batch has {self.batch} samples", remedy=f"give 1 to {MOST_SAMPLES}"
            )
        for name, steps, least in (
            ("schedule", self.schedule_steps, 1),
            ("warm-up", self.warmup, 0),
        ):
            if not least <= steps <= MOST_STEPS:
                raise InputError(
                    f"the {name} takes {steps} steps", remedy=f"give {least} to {MOST_STEPS}"
                )

    @property
    def scaling(self) -> float | str:
        """The loss scale: a number, or dynamic."""
        if self.loss_scale is None:
            return "dynamic" if self.precision == "fp16" else 1.0
        return "dynamic" if self.loss_scale == "dynamic" else float(self.loss_scale)

    def _check_scale(self) -> None:
        try:
            scale = self.scaling
        except ValueError:
            scale = nan
        if scale != "dynamic" and scale not in LOSS_SCALES:
            raise InputError(
                f"the loss scale is {self.loss_scale!r}",
                remedy="give dynamic, or a power of two from 1 to 2^24",
            )
        if scale != 1 and self.precision == "fp32":
            raise InputError(
                "a loss scale is for fp16 only", remedy="give --precision fp16, or no scale"
            )

    def _check_rounding(self) -> None:
        if self.rounding not in ROUNDINGS:
            raise InputError(
                f"unknown rounding {self.rounding!r}", remedy=f"known: {', '.join(ROUNDINGS)}"
            )
        if self.rounding != "nearest" and self.precision == "fp32":
            raise InputError(
                f"{self.rounding} rounding is for fp16 only", remedy="give --precision fp16"
            )
        if not 0 <= self.seed < 2**32:
            raise InputError(f"the seed is {self.seed}", remedy="give 0 to 2^32 - 1")

    @property
    def constant_rate(self) -> bool:
        return self.schedule == "constant" and not self.warmup

    @property
    def loss_entry(self) -> Loss:
        return LOSSES[self.loss]


@dataclass(frozen=True, slots=True)
class Rule:
    """`apply(infer graph with states, how)` is the graph of the entry `train_step`."""

    name: str
    summary: str
    apply: Callable[[Graph, Learning], Graph]


RULES: dict[str, Rule] = {}


def register(name: str) -> Callable[[Callable[[Graph, Learning], Graph]], Callable[..., Graph]]:
    """Enter the decorated function into the table as the rule `name`."""

    def enter(apply: Callable[[Graph, Learning], Graph]) -> Callable[..., Graph]:
        summary = (apply.__doc__ or "").strip().splitlines()[0]
        RULES[name] = Rule(name, summary, apply)
        return apply

    return enter
