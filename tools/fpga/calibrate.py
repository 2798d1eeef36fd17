"""Synthesises folded engines of many kinds and fits the estimator's weights to them.

`python -m tools.fpga estimates` keeps weights, for edgetrain/fpga/estimate.py, and errors.  Every
second design is held out of the fit.
"""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetrain.compiler.errors import InputError
from edgetrain.compiler.folding import Folding, foldings, unit_names
from edgetrain.compiler.program import Program
from edgetrain.fpga.estimate import WEIGHTS
from edgetrain.fpga.synthesis import synthesise
from edgetrain.kernels.rtl.engine import Engine
from edgetrain.kernels.rtl.folded import print_folded
from edgetrain.pipeline import compile_model
from edgetrain.workloads import find_model
from tests.c.harness import make_program
from tests.rtl.test_unrolled import network

NETWORKS = 32
KEPT = Path("build/calibration.jsonl")
"""What has been synthesised; delete it to begin anew."""


def designs() -> Iterator[tuple[str, Program, int]]:
    """Names, programs and the bits from which a memory is a block."""
    for seed in range(NETWORKS):
        yield f"random {seed}", make_program([network(seed)]), (2048, 1 << 40)[seed % 2]
    detector = find_model("can-ids-w2a2")
    for number in range(6):
        yield f"detector {number}", compile_model(detector, "host"), 2048


def some_foldings(program: Program, rng: np.random.Generator) -> dict[str, Folding]:
    """Of every unit one that is not too large for a folded engine."""
    found = {}
    for (entry, place), unit in unit_names(program).items():
        legal = foldings(program.entry(entry).calls[place], program.constants)
        small = [f for f in legal if f.pe * f.simd <= 16]
        found[unit] = small[int(rng.integers(len(small)))]
    return found


def some_engine(program: Program, rng: np.random.Generator, block_bits: int) -> Engine:
    """Folded at random, as often as it takes to find lanes that fit each other."""
    while True:
        try:
            return print_folded(program, some_foldings(program, rng), block_bits)
        except InputError:
            continue


def synthesised() -> Iterator[dict[str, Any]]:
    """Parts and resources of every design."""
    kept = {}
    if KEPT.is_file():
        kept = {row["name"]: row for row in map(json.loads, KEPT.read_text().splitlines())}
    KEPT.parent.mkdir(exist_ok=True)
    for number, (name, program, block_bits) in enumerate(designs()):
        engine = some_engine(program, np.random.default_rng([number, 9]), block_bits)
        digest = hashlib.sha256(engine.text.encode()).hexdigest()
        if kept.get(name, {}).get("digest") != digest:
            found = synthesise({"engine.v": engine.text}, "et_engine").resources
            kept[name] = {"name": name, "digest": digest, **asdict(found)}
            with KEPT.open("a") as file:
                file.write(json.dumps(kept[name]) + "\n")
            print(name, found, file=sys.stderr)
        yield {**kept[name], "parts": dict(engine.parts)}


def features(parts: Mapping[str, int]) -> list[float]:
    return [float(parts.get(name, 0)) for name in WEIGHTS]


def fitted(rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    """Weights that are not negative, of the least sum of squared relative errors."""
    luts = np.array([row["luts"] for row in rows], float)
    x = np.array([features(row["parts"]) for row in rows]) / luts[:, None]
    gram, goal = x.T @ x, x.sum(axis=0)
    weights = np.ones(len(WEIGHTS)) * 0.1
    for _ in range(200_000):
        # Multiplicative updates keep their sign (Lee and Seung, 2000).
        weights *= goal / (gram @ weights + 1e-12)
    return weights


def measured() -> dict[str, Any]:
    """The weights fitted, and how far estimates by them are off."""
    rows = list(synthesised())
    weights = fitted(rows[::2])
    luts = np.array([row["luts"] for row in rows], float)
    found = np.array([features(row["parts"]) for row in rows]) @ weights
    error = np.abs(found - luts) / luts
    for row, estimated in zip(rows, found, strict=True):
        parts = row["parts"]
        blocks = f"{parts.get('block', 0) / 2:g} of {row['brams']:g} BRAM"
        dsps = f"{parts.get('dsp', 0)} of {row['dsps']} DSP"
        told = f"{row['name']}: {estimated:.0f} of {row['luts']} LUT, {blocks}, {dsps}"
        print(told, row["parts"], file=sys.stderr)
    return {
        "weights": {n: round(float(w), 3) for n, w in zip(WEIGHTS, weights, strict=True)},
        "errors": {"fitted": _told(error[::2]), "held out": _told(error[1::2])},
    }


def _told(errors: NDArray[np.float64]) -> dict[str, float]:
    return {
        "designs": len(errors),
        "mean": round(float(errors.mean()), 3),
        "median": round(float(np.median(errors)), 3),
        "worst": round(float(errors.max()), 3),
    }
