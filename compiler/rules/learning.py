"""How a network learns: what all rules have in common."""

import re
from dataclasses import asdict, dataclass
from math import nan
from typing import Any

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.ops.loss import LOSSES, Loss
from edgetrain.compiler.ops.schedule import MOST_STEPS, SCHEDULES
from edgetrain.compiler.rules.saved import SAVED
from edgetrain.compiler.types import Int, Scalar

MOST_SAMPLES = 4096
"""In a batch."""

PRECISIONS = ("fp32", "fp16", "quantised")
"""Families of precisions in which gradients are floats; the last is that of all networks of
integers."""
INTEGER = "integer"
"""The precision, and its family, without any float."""
LATENTS = ("int16", "int8", "fp16")
_QUANTISED = re.compile(r"w[1-8]a[1-8]|int8|pow2")
ROUNDINGS = ("nearest", "stochastic")
MASKS = ("small",)
SCALES = ("frozen", "learned")
DEFAULT_LOSS = "cross-entropy"
LOSS_SCALES = tuple(2.0**power for power in range(25))

Number = int | float


@dataclass(frozen=True, slots=True)
class Learning:
    """How a network learns: loss, learning rate, weight decay, the share of its momentum that the
    rule `momentum` keeps a step, and how the rate changes.

    `schedule`: after `schedule_steps` steps the rate is `schedule_factor` of what it was: at once
    and again after as many more (step), or led there in a line (linear) or half a wave (cosine).
    It rises to its first value during `warmup` steps, before which no schedule begins.
    `batch`: samples a step.  `update`: which parameters learn (see `choose` in update.py).

    `precision`: fp32 or fp16, of the network's numbers, also where it only infers; of a quantised
    network what it is, as w2a2 for weights and activations of two bits, or int8, which is w8a8
    without latents finer than the weights, or pow2, where its weights are rounded to 0 and ±2^k.
    None is what the network is.  `latent` says what its weights are before they are rounded, int16,
    int8 or fp16, and with `scaled_gradients` (the default) they learn as the real numbers that they
    stand for would.  With integer, for a quantised network too, losses, gradients and updates are
    integers as well.
    `loss_scale` of fp16: a power of two by which gradients are computed larger than they are, or
    dynamic (the default), where it is found while learning.  `rounding` of its parameters: nearest,
    or stochastic, up or down by random numbers of `seed` such that the mean is right; by default
    stochastic for latents of int8 alone.  The random numbers of rules are of this seed too.
    `mask`: small, where only parameters of small size learn.  `scales`: learned, where the steps of
    a quantised network's weights learn too (see `scales.py`), or frozen.
    `save_activations`: what a float network keeps of its activations for the backward pass, int8,
    int4 or int2; by default all.
    `options`: names and values of the rule's own (see `Option`).

    Raises InputError for a loss that there is not, or a number that cannot be meant.
    """

    loss: str = DEFAULT_LOSS
    rate: float = 0.01
    decay: float = 0.0
    momentum: float = 0.9
    schedule: str = "constant"
    schedule_steps: int = 1000
    schedule_factor: float = 0.1
    warmup: int = 0
    batch: int = 1
    update: str = "all"
    precision: str | None = None
    latent: str | None = None
    scaled_gradients: bool = True
    loss_scale: float | str | None = None
    rounding: str | None = None
    seed: int = 0
    mask: str | None = None
    scales: str = "frozen"
    save_activations: str | None = None
    options: tuple[tuple[str, Number | str], ...] = ()

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise InputError(f"unknown loss {self.loss!r}", remedy=f"known: {', '.join(LOSSES)}")
        self._check_precision()
        for name, value in (("learning rate", self.rate), ("weight decay", self.decay)):
            if not 0 <= value < 1e6:
                raise InputError(f"the {name} is {value}", remedy="give a number from 0 to 1e6")
        if self.mask not in (None, *MASKS):
            raise InputError(f"unknown mask {self.mask!r}", remedy=f"known: {', '.join(MASKS)}")
        self._check_scale()
        self._check_rounding()
        self._check_saved()
        self._check_scales()
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
    def family(self) -> str:
        """That of its precision."""
        return self.precision if self.precision in ("fp32", "fp16", INTEGER) else "quantised"

    @property
    def latents(self) -> str:
        """The kind of latent weights of a quantised network."""
        return self.latent or ("int8" if self.precision == "int8" else "int16")

    def by_chance(self, latent: Scalar) -> bool:
        """Whether parameters of this type are rounded at random."""
        if self.rounding is None:
            return isinstance(latent, Int) and latent.bits <= 8
        return self.rounding == "stochastic"

    @property
    def scaling(self) -> float | str:
        """The loss scale: a number, or dynamic."""
        if self.loss_scale is None:
            return "dynamic" if self.precision == "fp16" else 1.0
        return "dynamic" if self.loss_scale == "dynamic" else float(self.loss_scale)

    def _check_precision(self) -> None:
        known = (None, "fp32", "fp16", INTEGER)
        if self.precision not in known and not _QUANTISED.fullmatch(str(self.precision)):
            raise InputError(
                f"unknown precision {self.precision!r}",
                remedy="known: fp32, fp16, w2a2 …, int8, pow2, integer",
            )
        if self.latent not in (None, *LATENTS):
            raise InputError(
                f"unknown latent {self.latent!r}", remedy=f"known: {', '.join(LATENTS)}"
            )
        if self.precision == "int8" and self.latents != "int8":
            raise InputError(
                "int8 keeps no weights but those of 8 bits", remedy="give --precision w8a8"
            )
        if self.precision == INTEGER:
            self._check_integers()

    def _check_integers(self) -> None:
        if self.latents == "fp16":
            raise InputError("integer has no latents of fp16", remedy="give int16 or int8")
        if self.loss_entry.fixed is None:
            able = ", ".join(loss.name for loss in LOSSES.values() if loss.fixed)
            raise InputError(f"the loss {self.loss} needs floats", remedy=f"in integer: {able}")
        if self.decay:
            raise InputError("integer has no weight decay", remedy="leave out --decay")

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
        if scale != 1 and self.precision is not None and self.family != "fp16":
            raise InputError(
                "a loss scale is for fp16 only", remedy="give --precision fp16, or no scale"
            )

    def _check_rounding(self) -> None:
        if self.rounding not in (None, *ROUNDINGS):
            raise InputError(
                f"unknown rounding {self.rounding!r}", remedy=f"known: {', '.join(ROUNDINGS)}"
            )
        if self.rounding == "stochastic" and self.precision == "fp32":
            raise InputError(
                "stochastic rounding is not for fp32",
                remedy="give --precision fp16, or no rounding",
            )
        if not 0 <= self.seed < 2**32:
            raise InputError(f"the seed is {self.seed}", remedy="give 0 to 2^32 - 1")

    def _check_saved(self) -> None:
        if self.save_activations not in (None, *SAVED):
            raise InputError(
                f"activations cannot be saved as {self.save_activations!r}",
                remedy=f"known: {', '.join(SAVED)}",
            )
        if self.save_activations and self.precision not in (None, "fp32", "fp16"):
            raise InputError(
                "a quantised network's activations have few bits already",
                remedy="leave out --save-activations, or make it a float one with --dequantise",
            )

    def _check_scales(self) -> None:
        if self.scales not in SCALES:
            raise InputError(
                f"unknown scales {self.scales!r}", remedy=f"known: {', '.join(SCALES)}"
            )
        able = self.family == "quantised" and self.precision != "int8" and self.scaled_gradients
        if self.scales == "learned" and not able:
            raise InputError(
                f"scales do not learn in {self.precision}",
                remedy="they do where a quantised network's weights have finer latents",
            )

    def option(self, name: str) -> Number:
        """The value of an option, once a rule has settled it."""
        value = dict(self.options)[name]
        assert not isinstance(value, str)
        return value

    def record(self) -> dict[str, Any]:
        """All fields by name, the options among them."""
        fields = asdict(self)
        return fields | dict(fields.pop("options"))

    @property
    def constant_rate(self) -> bool:
        return self.schedule == "constant" and not self.warmup

    @property
    def course(self) -> dict[str, Any]:
        """How the rate changes, as an op takes it."""
        return {
            "schedule": self.schedule,
            "steps": self.schedule_steps,
            "factor": self.schedule_factor,
            "warmup": self.warmup,
        }

    @property
    def loss_entry(self) -> Loss:
        return LOSSES[self.loss]
