"""What a learning rule is, and the table of all."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import nan

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.graph import Graph
from edgetrain.compiler.ops.loss import LOSSES
from edgetrain.compiler.rules.learning import DEFAULT_LOSS, PRECISIONS, SCALES, Learning, Number
from edgetrain.compiler.rules.network import Network

OWN_LOSS = (DEFAULT_LOSS,)


@dataclass(frozen=True, slots=True)
class Option:
    """A number from `lo` to `hi` that a rule takes; a whole one where its default is."""

    name: str
    default: Number
    lo: Number
    hi: Number
    summary: str

    def value(self, given: Number | str) -> Number:
        """What is `given`, as a number.  Raises InputError."""
        whole = isinstance(self.default, int)
        try:
            number = float(given)
        except ValueError:
            number = nan
        if not self.lo <= number <= self.hi or (whole and not number.is_integer()):
            raise InputError(
                f"the option {self.name} is {given!r}",
                remedy=f"give a {'whole ' * whole}number from {self.lo} to {self.hi}",
            )
        return int(number) if whole else number


Build = Callable[[Network, Learning], Graph]


@dataclass(frozen=True, slots=True)
class Rule:
    """A way to learn.

    `build(infer graph with states, how)` is the graph of the entry `train_step`, for a settled how.
    `infer`, of the same two, is that of the entry `infer`, where it is not the network itself.
    `precisions`, `losses`, `masks` and `scales`: those in which, by which and with which the rule
    is defined; of the losses the default alone where it has a loss of its own (OWN_LOSS).
    """

    name: str
    summary: str
    build: Build
    options: tuple[Option, ...] = ()
    precisions: tuple[str, ...] = PRECISIONS[:1]
    infer: Build | None = None
    masks: tuple[str, ...] = ()
    losses: tuple[str, ...] = tuple(LOSSES)
    scales: tuple[str, ...] = SCALES

    def settle(self, how: Learning) -> Learning:
        """`how` with a value for every option of the rule.  Raises InputError for an option that it
        does not have, a value out of range, or a precision, a loss, a mask or scales for which it
        is not defined.
        """
        if how.precision is not None and how.family not in self.precisions:
            raise InputError(
                f"{self.name} is not defined in {how.precision}",
                remedy=f"it is in {', '.join(self.precisions)}",
            )
        if how.mask not in (None, *self.masks):
            able = [rule.name for rule in RULES.values() if how.mask in rule.masks]
            raise InputError(
                f"{self.name} has no mask {how.mask!r}", remedy=f"rules with it: {', '.join(able)}"
            )
        if how.scales not in self.scales:
            raise InputError(f"{self.name} learns no scales", remedy="give --scales frozen")
        if how.loss not in self.losses:
            others = f"it does by {', '.join(self.losses)}"
            raise InputError(
                f"{self.name} does not learn by the loss {how.loss}",
                remedy="leave out --loss" if self.losses == OWN_LOSS else others,
            )
        options = {option.name: option for option in self.options}
        values = {option.name: option.default for option in self.options}
        for name, given in how.options:
            if name not in options:
                known = f"it has {', '.join(options) or 'none'}"
                raise InputError(f"{self.name} has no option {name!r}", remedy=known)
            values[name] = options[name].value(given)
        return replace(how, options=tuple(values.items()))

    def apply(self, infer: Network, how: Learning) -> Graph:
        """The graph of the entry `train_step`.  Raises InputError."""
        return self.build(infer, self.settle(how))


RULES: dict[str, Rule] = {}


def register(
    name: str,
    *,
    options: tuple[Option, ...] = (),
    precisions: tuple[str, ...] = PRECISIONS[:1],
    infer: Build | None = None,
    masks: tuple[str, ...] = (),
    losses: tuple[str, ...] = tuple(LOSSES),
    scales: tuple[str, ...] = SCALES,
) -> Callable[[Build], Build]:
    """Enter the decorated function into the table as the rule `name`."""

    def enter(build: Build) -> Build:
        summary = (build.__doc__ or "").strip().splitlines()[0]
        RULES[name] = Rule(name, summary, build, options, precisions, infer, masks, losses, scales)
        return build

    return enter


def find_rule(name: str) -> Rule:
    """The rule of this name.  Raises InputError."""
    if name not in RULES:
        raise InputError(f"unknown rule {name!r}", remedy=f"known: {', '.join(RULES)}")
    return RULES[name]
