"""Names of attack kinds, and the four classes that they fall into."""

import re
from typing import Final

from edgetrain.compiler.errors import InputError

CLASSES: Final = ("normal", "dos", "fuzzing", "spoofing")
NORMAL: Final = "normal"

# The first word found in the name of a kind, whatever its case, decides.  The words come from the
# injector (dos, fuzz, unknown, replay, burst) and from the published data sets: DAGA and HCRL
# (file names), CICIoV2024 (specific_class), ROAD (capture names), the HCRL challenges (SubClass).
_CLASS_OF_WORD: Final = (
    ("fuzz", "fuzzing"),
    ("unknown", "fuzzing"),
    ("replay", "spoofing"),
    ("burst", "spoofing"),
    ("spoof", "spoofing"),
    ("masquerade", "spoofing"),
    ("denialofservice", "dos"),
    ("dos", "dos"),
    ("flood", "dos"),
    ("gear", "spoofing"),
    ("rpm", "spoofing"),
    ("gas", "spoofing"),
    ("speed", "spoofing"),
    ("steering", "spoofing"),
    ("correlated", "spoofing"),
    ("coolant", "spoofing"),
    ("light", "spoofing"),
)
_MAX_NAME: Final = 80


def class_of_kind(kind: str) -> str:
    """The class, one of CLASSES, of an attack kind ("normal" is its own); InputError if unknown."""
    name = kind.casefold()
    if name == NORMAL:
        return NORMAL
    for word, class_name in _CLASS_OF_WORD:
        if word in name:
            return class_name
    raise InputError(
        f"attack kind {kind!r} belongs to no known class",
        remedy="name the recording after its attack: dos, fuzzing, replay or spoofing",
    )


def kind_name(text: str) -> str:
    """`text` (a file name's stem, a label column) as the name of a kind: word characters, . + -"""
    return re.sub(r"[^\w.+-]+", "_", text.strip(), flags=re.ASCII)[:_MAX_NAME] or "attack"
