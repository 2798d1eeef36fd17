"""Which parameters learn: a choice written as `last`, `biases`, `w0,b0`, `layer1`, `w2[8:16]` …"""

import re
from collections.abc import Mapping

from edgetrain.compiler.errors import InputError

Range = tuple[int, int]
"""The output channels from the first up to, but not including, the second."""

_CHANNELS = re.compile(r"w(\d+)\[(\d*):(\d*)\]")


def choose(spec: str, channels: Mapping[str, int]) -> dict[str, Range]:
    """The chosen of the parameters `channels` (name → output channels), each with its range.

    Items are joined by commas: `all`; `last`, a layer's weights and bias; `biases`; `layer0`; `w0`,
    `b0`; `w0[2:5]`, output channels of a layer and of its bias.  Raises InputError for an item that
    names nothing, and for two parts of one parameter.
    """
    chosen: dict[str, Range] = {}
    for item in (part.strip() for part in spec.split(",")):
        for name, span in _item(item, channels).items():
            if chosen.setdefault(name, span) != span:
                raise _refusal(f"--update chooses {name} in two parts", channels)
    return chosen


def _item(item: str, channels: Mapping[str, int]) -> dict[str, Range]:
    found = _CHANNELS.fullmatch(item)
    if found is not None:
        return _part(item, found, channels)
    last = max((int(name[1:]) for name in channels), default=0)
    named = {
        "all": list(channels),
        "biases": [name for name in channels if name.startswith("b")],
        "last": [f"w{last}", f"b{last}"],
    }.get(item, [item, item.replace("layer", "w"), item.replace("layer", "b")])
    whole = {name: (0, channels[name]) for name in named if name in channels}
    if not whole:
        raise _refusal(f"--update names no parameter by {item!r}", channels)
    return whole


def _part(item: str, found: re.Match[str], channels: Mapping[str, int]) -> dict[str, Range]:
    layer, first, end = found.groups()
    size = channels.get(f"w{layer}")
    if size is None:
        raise _refusal(f"--update names no parameter by {item!r}", channels)
    lo, hi = int(first or 0), int(end or size)
    if not 0 <= lo < hi <= size:
        raise InputError(
            f"--update chooses {item}, but w{layer} has {size} output channels",
            remedy=f"give w{layer}[0:{size}] or a part of it",
        )
    return {name: (lo, hi) for name in (f"w{layer}", f"b{layer}") if name in channels}


def _refusal(what: str, channels: Mapping[str, int]) -> InputError:
    known = ", ".join(f"{name}[{size}]" for name, size in channels.items())
    return InputError(what, remedy=f"all, last, biases, layerK, or of these: {known}")
