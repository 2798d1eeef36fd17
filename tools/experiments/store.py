"""Results, a JSON line each: in build/ as they come, in docs/experiments.json as committed."""

import hashlib
import json
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edgetrain.files import write_file
from tools.experiments.registry import Result, Unit

REPOSITORY = Path(__file__).resolve().parent.parent.parent
BUILD = REPOSITORY / "build" / "experiments"
KEPT = BUILD / "results.jsonl"
COMMITTED = REPOSITORY / "docs" / "experiments.json"

CODE = ("compiler", "kernels", "edgetrain", "boards", "tools/experiments")
"""What a result may depend on, the data apart."""
_PAGE = "page"
"""A folder of code that only shows results."""


@dataclass(frozen=True)
class Record:
    """A result and its code: `commit` for people (with + where the checkout differed from it),
    `code` the hash of what the checkout held."""

    experiment: str
    parameters: dict[str, Any]
    seed: int
    commit: str
    code: str
    result: Result

    @property
    def key(self) -> str:
        return unit_key(Unit(self.experiment, self.parameters, self.seed))


def unit_key(unit: Unit) -> str:
    """The same for the same experiment, parameters and seed."""
    return json.dumps([unit.experiment, dict(unit.parameters), unit.seed], sort_keys=True)


def load(path: Path) -> dict[str, Record]:
    """The latest record of every unit, by key.  A line that was cut off is left out."""
    found = {}
    for line in path.read_text().splitlines() if path.is_file() else ():
        text = line.removesuffix(",")
        if text.startswith("{") and text.endswith("}"):
            record = Record(**json.loads(text))
            found[record.key] = record
    return found


def done(keep: bool) -> set[str]:
    """The keys of the units that have a result of the present code; to `keep`, of any."""
    kept = {key for key, record in load(KEPT).items() if keep or record.code == code()}
    return kept | load(COMMITTED).keys() if keep else kept


def keep(unit: Unit, result: Result) -> None:
    """Appends `result`, as that of the present code."""
    name, parameters, seed = unit.experiment, dict(unit.parameters), unit.seed
    record = Record(name, parameters, seed, *_present(), result)
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    with KEPT.open("a") as file:
        file.write(json.dumps(asdict(record)) + "\n")


def commit_results(keys: Iterable[str]) -> None:
    """Puts what is kept into docs/experiments.json, which holds the units `keys` and no others.

    What is there already gives way to results of the present code only.
    """
    committed, kept = load(COMMITTED), load(KEPT)
    committed |= {k: r for k, r in kept.items() if k not in committed or r.code == code()}
    lines = [json.dumps(asdict(committed[key])) for key in sorted(keys) if key in committed]
    write_file(COMMITTED, ("[\n" + ",\n".join(lines) + "\n]\n").encode())


@cache
def _present() -> tuple[str, str]:
    """The short name of the commit, with + where the checkout differs from it, and the hash of all
    that a result may depend on."""
    differs = _git("status", "--porcelain", "--", *CODE)
    commit = _git("rev-parse", "--short=7", "HEAD") + "+" * bool(differs)
    return commit, hash_of(CODE)


@cache
def hash_of(places: tuple[str, ...]) -> str:
    """A hash of all files of these folders of the checkout, or of these files."""
    digest = hashlib.sha256()
    for place in places:
        top = REPOSITORY / place
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and not {"__pycache__", _PAGE} & {*path.parts}:
                digest.update(f"{path.relative_to(REPOSITORY)}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def code() -> str:
    """The hash of what the checkout held when it was first asked for."""
    return _present()[1]


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(REPOSITORY), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
