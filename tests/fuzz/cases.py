"""What training programs are made of, and one of them as a project that was verified."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import cycle
from pathlib import Path
from typing import Any

from edgetrain.board import Board, all_boards, load_board
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.ops.loss import LOSSES
from edgetrain.compiler.ops.schedule import SCHEDULES
from edgetrain.compiler.rules import RULES, Learning
from edgetrain.compiler.rules.learning import INTEGER, LATENTS, ROUNDINGS, SCALES
from edgetrain.compiler.rules.saved import SAVED
from edgetrain.pipeline import FP16_FEATURES, Program, compile_model, write_project
from edgetrain.verify import VerifyReport, verify
from tests.fuzz.pairwise import covering_array
from tests.training.models import random_layers, write_mlp, write_quantised_mlp

Case = Mapping[str, Any]

STEPS = 50
SIZES = ((9, 2), (7, 5, 3), (16, 8, 4), (25, 12, 6, 3), (18, 33, 5))
"""With tails for lanes of 2, 4 and 8, without any, and with more than two rounds of lanes."""
ACTIVATIONS = ("Relu", "LeakyRelu", "Sigmoid", "Tanh", "Identity")
FIXED: dict[str, Any] = {"rate": 2.0**-6, "schedule_steps": 20, "warmup": 3}
"""Fields of Learning that are the same in every case."""

BITS = {"int8": "w8a8", "pow2": "w5a2", INTEGER: "w4a4"}
"""Of the networks of precisions that are not called by them."""

RUNNABLE = tuple(b for b in all_boards() if b.qemu is not None or b.architecture == "host")
FLOATS = {"f16", "fma16", "f32", "fma32", "mve-fp", "rvv", "rvv-fp16"}


def arithmetic(board: Board) -> str:
    """How a board computes with floats: boards of which this is equal share contracts and most of
    their kernels."""
    has = FLOATS.intersection(board.features)
    return "+".join([*sorted(has), *["arm"] * (board.architecture == "cortex_m")] if has else [])


FACTORS: dict[str, Sequence[Any]] = {
    "sizes": SIZES,
    "activation": ACTIVATIONS,
    "rule": tuple(RULES),
    "board": tuple(board.name for board in RUNNABLE),
    # The others are fields of Learning.
    "loss": tuple(LOSSES),
    "decay": (0.0, 0.01),
    "schedule": tuple(SCHEDULES),
    "batch": (1, 3),
    "precision": ("fp32", "fp16", "w2a2", "w4a2", "int8", "pow2", INTEGER),
    "latent": LATENTS,
    "loss_scale": (1.0, 128.0, "dynamic"),
    "rounding": ROUNDINGS,
    "save_activations": (None, *SAVED),
    "scales": SCALES,
    "update": ("all", "last", "biases", "w0[1:2]"),
}


MOST_PROGRAMS = 40
FIRST = [
    frozenset(("precision", other))
    for other in ("rule", "board", "latent", "update", "batch", "loss")
]
"""What two factors meet in any case."""


def valid(case: Case) -> bool:
    """Whether the values of a case, or of the part of one that is decided, go together."""
    precisions = [case["precision"]] if "precision" in case else FACTORS["precision"]
    return any(_valid({**case, "precision": precision}) for precision in precisions)


def _valid(case: Case) -> bool:
    features = load_board(case["board"]).features if "board" in case else FP16_FEATURES
    if "fp16" in (case["precision"], case.get("latent")) and not FP16_FEATURES.issubset(features):
        return False
    quantised = case["precision"] not in ("fp32", "fp16")
    if quantised and case.get("activation", "Relu") != "Relu":
        return False
    if not quantised and case.get("latent", LATENTS[0]) != LATENTS[0]:
        return False
    if case.get("scales") == "learned" and (
        case["precision"] == "int8" or case.get("update", "all") != "all"
    ):
        return False
    try:
        how = learning(case)
        if "rule" in case:
            RULES[case["rule"]].settle(how)
    except InputError:
        return False
    return True


def learning(case: Case) -> Learning:
    """How a case learns; raises InputError for what does not go together."""
    named = {field.name for field in fields(Learning)}
    given = {name: value for name, value in case.items() if name in named}
    if given.get("precision") == "int8":
        # Its weights are their own latents, and of no other scale.
        given.pop("latent", None)
        given.pop("scales", None)
    return Learning(**FIXED, **given)


def kind(factor: str, value: Any) -> Any:
    """Values of a factor of which the kind is equal take turns."""
    match factor:
        case "board":
            return arithmetic(load_board(value))
        case "precision":
            return Learning(precision=value).family
    return value


def covering_cases(seed: int) -> list[Case]:
    """At most 40 cases, in which every rule meets every family of precisions in which it is
    defined, and as many other kinds of values meet as fit in; the boards of one arithmetic take
    turns, and so do the precisions of quantised networks."""
    turns: dict[str, dict[Any, Iterator[Any]]] = {}
    factors: dict[str, Sequence[Any]] = {}
    for factor, values in FACTORS.items():
        kinds: dict[Any, list[Any]] = {}
        for value in values:
            kinds.setdefault(kind(factor, value), []).append(value)
        factors[factor] = [alike[0] for alike in kinds.values()]
        turns[factor] = {alike[0]: cycle(alike) for alike in kinds.values()}
    rows = covering_array(factors, valid, seed, FIRST, MOST_PROGRAMS)
    return [{factor: next(turns[factor][value]) for factor, value in row.items()} for row in rows]


def key(case: Case) -> str:
    """A case in one line."""
    return json.dumps(case, default=str)


def compile_case(case: Case, scratch: Path) -> Program:
    """The program of a case."""
    weights, biases = random_layers(case["sizes"], seed=len(key(case)))
    path = scratch / "net.onnx"
    if case["precision"] in ("fp32", "fp16"):
        write_mlp(path, weights, biases, case["activation"])
        return compile_model(path, case["board"], learn=case["rule"], how=learning(case))
    precision: str = case["precision"]
    write_quantised_mlp(path, weights, biases, BITS.get(precision, precision))
    how = learning(case)
    if precision not in BITS:
        # One layer has no activations of its own, hence another name.
        how = replace(how, precision=None)
    return compile_model(path, case["board"], learn=case["rule"], how=how)


def run_case(case: Case, scratch: Path) -> VerifyReport:
    """Builds a case in the empty folder `scratch`, and runs it beside the simulator."""
    write_project(compile_case(case, scratch), scratch / "out")
    link = "host" if case["board"] == "host" else "qemu"
    return verify(scratch / "out", samples=STEPS, link=link)
