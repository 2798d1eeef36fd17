"""What docs/fpga.md shows: measured by `python -m tools.fpga`, kept in docs/fpga.json."""

import json
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent.parent
RESULTS = REPOSITORY / "docs" / "fpga.json"


def read() -> dict[str, Any]:
    """Everything measured; empty before the first time."""
    held: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    return held


def keep(**measured: Any) -> None:
    """Puts parts of it anew."""
    RESULTS.write_text(json.dumps({**read(), **measured}, indent=1, sort_keys=True) + "\n")
