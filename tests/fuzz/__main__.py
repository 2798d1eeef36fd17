"""`make fuzz`: training programs of every kind in an order that looks random, until time is up.

Each is verified on its board; what came of it is a line of a results file.  A later run goes on
where this one ended: it passes over cases that the file has, as long as they compile to the same
program.
"""

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from edgetrain.compiler.errors import InputError
from tests.fuzz.cases import FACTORS, STEPS, Case, compile_case, key, run_case, valid
from tests.fuzz.pairwise import walk
from tests.support import REPOSITORY

Result = dict[str, Any]


def attempt(case: Case, known: Result | None, commit: str) -> Result | None:
    """What came of a case; None if `known` is of the same program."""
    with tempfile.TemporaryDirectory() as scratch:
        result: Result = {"case": key(case), "commit": commit, "values": 0}
        try:
            program = compile_case(case, Path(scratch)).sha256
            if known is not None and known["program"] == program:
                return None
            report = run_case(case, Path(scratch))
        except InputError as error:
            return {**result, "program": None, "outcome": f"refused: {error}"}
        except Exception as error:
            return {**result, "program": None, "outcome": f"failed: {error!r}"}
        outcome = "exact" if report.bit_exact else f"differs: {report.first_mismatch}"
        values = report.compared_values
        return {**result, "program": program, "values": values, "outcome": outcome}


@dataclass
class Run:
    """The results file, and how much of it this run adds."""

    path: Path
    commit: str
    deadline: float
    jobs: int

    def __call__(self, seed: int) -> None:
        known = {result["case"]: result for result in self.results()}
        with (
            self.path.open("a", encoding="utf-8") as file,
            ProcessPoolExecutor(self.jobs) as pool,
        ):
            for result in self._outcomes(pool, known, seed):
                file.write(json.dumps(result) + "\n")
                file.flush()
                if result["outcome"] != "exact":
                    print(result["case"], result["outcome"], flush=True)

    def _outcomes(
        self, pool: ProcessPoolExecutor, known: dict[str, Result], seed: int
    ) -> Iterator[Result]:
        cases = walk(FACTORS, valid, seed)
        running: set[Future[Result | None]] = set()
        while True:
            while len(running) < 2 * self.jobs and time.monotonic() < self.deadline:
                case = next(cases, None)
                if case is None:
                    break
                former = known.get(key(case))
                if former is None or former["commit"] != self.commit:
                    running.add(pool.submit(attempt, case, former, self.commit))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (r for f in done if (r := f.result()) is not None)

    def results(self) -> list[Result]:
        """All that the file has, of a case the last."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines()
        return list({r["case"]: r for r in map(json.loads, lines)}.values())


@click.command()
@click.option("--minutes", type=float, default=10.0, show_default=True)
@click.option("--jobs", type=int, default=2, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the order.")
@click.option("--results", type=click.Path(path_type=Path), default=Path("build/fuzz.jsonl"))
def main(minutes: float, jobs: int, seed: int, results: Path) -> None:
    """Verify training programs of every kind; exit code 3 if one of them is not bit-exact."""
    done = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True
    )
    commit = done.stdout.strip() or "unknown"
    results.parent.mkdir(parents=True, exist_ok=True)
    run = Run(results, commit, time.monotonic() + 60 * minutes, jobs)
    run(seed)
    found = run.results()
    kinds = [result["outcome"].partition(":")[0] for result in found]
    ran = len(found) - kinds.count("refused")
    print(
        f"{ran:,} programs, {STEPS * ran:,} training steps,"
        f" {sum(r['values'] for r in found):,} values compared:"
        f" {kinds.count('exact'):,} bit-exact, {kinds.count('differs')} differ,"
        f" {kinds.count('failed')} failed; {kinds.count('refused')} refused; commit {commit}"
    )
    raise SystemExit(3 if kinds.count("differs") or kinds.count("failed") else 0)


if __name__ == "__main__":
    main()
