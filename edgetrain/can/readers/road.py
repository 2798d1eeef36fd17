"""Labels of ROAD captures, which are kept beside them in `capture_metadata.json`."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from edgetrain.can.kinds import NORMAL, kind_name
from edgetrain.can.readers.source import Source
from edgetrain.compiler.errors import InputError

METADATA: Final = "capture_metadata.json"
_MAX_BYTES: Final = 1 << 24


@dataclass(frozen=True)
class Injection:
    """A frame is injected iff time, identifier and payload all fit."""

    kind: str
    start_us: int
    end_us: int
    identifier: int | None
    payload: re.Pattern[str]

    def label(self, since_us: int, identifier: int, payload: str) -> str:
        """Kind of a frame `since_us` after the first; `payload` in hexadecimal."""
        injected = (
            self.start_us <= since_us <= self.end_us
            and self.identifier in (None, identifier)
            and self.payload.fullmatch(payload)
        )
        return self.kind if injected else NORMAL


def find_injection(source: Source) -> Injection | None:
    """What the metadata beside the capture says of it; None without that file or entry."""
    path = source.path.with_name(METADATA)
    if not path.is_file():
        return None
    try:
        entry = json.loads(Source(path).read_all(_MAX_BYTES))[source.stem]
    except KeyError:
        return None
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError("is not a JSON object of captures", where=str(path)) from error
    try:
        return _parse(source.stem, entry)
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(
            "needs injection_id, injection_data_str and injection_interval as ROAD writes them",
            where=f"{path}, {source.stem}",
        ) from error


def _parse(stem: str, entry: dict[str, Any]) -> Injection | None:
    if entry["injection_interval"] is None:
        # An attack without injected frames: no frame can be labelled.
        return None
    start, end = entry["injection_interval"]
    identifier = entry["injection_id"]
    pattern = entry["injection_data_str"]
    if not re.fullmatch(r"[\dA-Fa-fXx]*", pattern, re.ASCII):
        raise ValueError(pattern)
    return Injection(
        kind=kind_name(re.sub(r"_\d+$", "", stem)),
        start_us=round(float(start) * 1e6),
        end_us=round(float(end) * 1e6),
        identifier=None if set(identifier.upper()) == {"X"} else int(identifier, 16),
        payload=re.compile(re.sub("[Xx]", ".", pattern), re.IGNORECASE),
    )
