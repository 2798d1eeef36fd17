"""`make experiments`: runs what has no result of the present code, then updates the page."""

import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

import click

from tools import docs_tables
from tools.experiments import brevitas, mnist, saved, store
from tools.experiments.can import benign, costs, drift, vehicle
from tools.experiments.page import curves
from tools.experiments.registry import EXPERIMENTS, Result, Unit, units
from tools.experiments.store import unit_key

MODULES = (mnist, brevitas, saved, drift, vehicle, benign, costs)
"""They enter the experiments."""


@click.command()
@click.option("--only", default="", metavar="REGEX", help="Units whose name has a match.")
@click.option("--keep", is_flag=True, help="Leave alone what has a result of other code.")
@click.option("--list", "listing", is_flag=True, help="Print what would run, and stop.")
@click.option("--jobs", type=int, default=2, show_default=True)
def main(only: str, keep: bool, listing: bool, jobs: int) -> None:
    """Run experiments; each result is kept in build/experiments as soon as it is there."""
    every = list(units())
    chosen = [unit for unit in every if re.search(only, str(unit))]
    done = store.done(keep)
    todo = [unit for unit in chosen if unit_key(unit) not in done]
    if listing:
        print("\n".join(map(str, todo)))
        return
    print(f"{len(todo)} of {len(chosen)} to run", flush=True)
    failed = 0
    for number, outcome in enumerate(_outcomes(todo, jobs), 1):
        print(f"{number}/{len(todo)} {outcome}", flush=True)
        failed += outcome.startswith("FAILED")
    store.commit_results(unit_key(unit) for unit in every)
    curves.draw_all()
    docs_tables.main()
    raise SystemExit(1 if failed else 0)


def _outcomes(todo: Sequence[Unit], jobs: int) -> Iterator[str]:
    """What became of each unit, in one line, after its result is kept."""
    pool = ProcessPoolExecutor(jobs)
    try:
        running = {pool.submit(_run, unit): unit for unit in todo}
        for future in as_completed(running):
            unit = running[future]
            try:
                result, seconds = future.result()
            except Exception as error:  # the others go on
                yield f"FAILED {unit}: {type(error).__name__}: {error}"
                continue
            store.keep(unit, result)
            yield f"{unit}: {seconds:.0f} s"
    finally:
        pool.shutdown(cancel_futures=True)


def _run(unit: Unit) -> tuple[Result, float]:
    """In a process of its own."""
    start = time.monotonic()
    return EXPERIMENTS[unit.experiment].run(unit.parameters, unit.seed), time.monotonic() - start


if __name__ == "__main__":
    main()
