"""The circuits of docs/fpga.md: what is compiled, and what `edgetrain bench` says of it."""

import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_TWO, _EIGHT = "mlp-40-64-32-5-w2a2", "mlp-40-64-32-5-w2a2-in8"
_DETECTOR = "can-ids-w2a2"
FRAMES = 4700
"""Cycles between the shortest CAN frames at 1 Mbit/s, if a clock of 100 MHz is assumed."""
_LEARN = "--learn sgd --precision integer --update last -o build/learner"
KEYS = ("luts", "ffs", "carries", "dsps", "brams", "latency_cycles", "initiation_interval")


@dataclass(frozen=True)
class Circuit:
    """`what` it is, and the commands that measure it, the last one with a report in JSON."""

    what: str
    commands: tuple[str, ...]


CIRCUITS = (
    Circuit("40-64-32-5, inputs of 2 bits, unrolled", (f"bench {_TWO} --board zcu104",)),
    Circuit("the same, inputs of 8 bits, unrolled", (f"bench {_EIGHT} --board zcu104",)),
    Circuit(
        "inputs of 2 bits, folded to 600 cycles",
        (f"bench {_TWO} --board zcu104 --target-latency 600",),
    ),
    Circuit(
        "inputs of 8 bits, folded to 600 cycles",
        (f"bench {_EIGHT} --board zcu104 --target-latency 600",),
    ),
    Circuit(
        "CAN detector, the network alone, unrolled",
        (f"bench {_DETECTOR} --board zcu104 --fold unrolled",),
    ),
    Circuit(
        f"CAN detector, the network alone, folded to {FRAMES} cycles",
        (
            f"compile {_DETECTOR} --board zcu104 --fold unrolled -o build/detector",
            f"bench build/detector/finn/network.onnx --board zcu104 --target-latency {FRAMES}",
        ),
    ),
    Circuit(
        f"CAN detector from frame to verdict, folded to {FRAMES} cycles",
        (f"bench {_DETECTOR} --board zcu104 --target-latency {FRAMES}",),
    ),
    Circuit(
        f"the same, its last layer learning, inference folded to {FRAMES} cycles",
        (
            f"compile {_DETECTOR} --board zcu104 --target-latency {FRAMES} {_LEARN}",
            "bench build/learner --phase infer",
        ),
    ),
)


def measured() -> Iterator[dict[str, Any]]:
    """A row for each."""
    for circuit in CIRCUITS:
        with tempfile.TemporaryDirectory() as scratch:
            answer = ""
            for command in circuit.commands:
                words = [sys.executable, "-m", "edgetrain", *shlex.split(command), "--json"]
                done = subprocess.run(
                    words, cwd=scratch, check=True, stdout=subprocess.PIPE, text=True
                )
                answer = done.stdout
            report = json.loads(answer)
        assert report["bit_exact"]
        row = {key: report[key] for key in KEYS}
        print(circuit.what, row, file=sys.stderr)
        yield {"what": circuit.what, "commands": list(circuit.commands), **row}
