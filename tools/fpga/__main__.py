"""Measures what docs/fpga.md shows, keeps it in docs/fpga.json, and draws its figure.

`python -m tools.fpga [PART …]`: circuits, front, estimates; by default all, which takes an hour.
Then `make docs` brings the page up to date.
"""

import sys
from collections.abc import Callable
from typing import Any

from tools.fpga import calibrate, circuits, front
from tools.fpga.results import keep

PARTS: dict[str, Callable[[], Any]] = {
    "circuits": lambda: list(circuits.measured()),
    "front": front.measured,
    "estimates": calibrate.measured,
}


def main() -> None:
    for part in sys.argv[1:] or PARTS:
        keep(**{part: PARTS[part]()})
    front.draw()


if __name__ == "__main__":
    main()
