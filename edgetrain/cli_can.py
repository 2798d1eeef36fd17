"""Verbs that work on recordings of CAN traffic."""

import math
from dataclasses import asdict
from pathlib import Path

import click

import edgetrain as et
from edgetrain.cli_support import Answer, output_option, seed_option, terminal, verb
from edgetrain.cli_tables import facts

recordings = click.argument("data", metavar="LOG...", nargs=-1, required=True)


@verb("edgetrain train can-ids drive.log -o detector.onnx")
@click.argument("recipe")
@click.argument("data", metavar="[LOG]...", nargs=-1)
@output_option
@seed_option
def train(recipe: str, data: tuple[str, ...], output: Path, seed: int) -> Answer:
    """Train a quantised model on the host.

    RECIPE can-ids makes an intrusion detector from clean recordings of one vehicle's traffic;
    without a recording it takes made-up traffic, for demonstration.  Needs the packages of
    `pip install 'edgetrain[train]'`.
    """
    with terminal().working("training") as progress:
        report = et.train(recipe, data, output, seed=seed, progress=progress)
    if not data:
        terminal().say("made-up traffic: for demonstration, its figures say nothing of a vehicle")
    return Answer(report.to_json(), report.result.quantised.attacked)


@verb("edgetrain evaluate can-ids-w2a2 attacked.csv --from 1 --to 20")
@click.argument("model", metavar="MODEL-or-DIR")
@recordings
@click.option("--from", "start_s", type=click.FloatRange(0), default=0.0, metavar="S")
@click.option("--to", "end_s", type=click.FloatRange(0), default=math.inf, metavar="S")
def evaluate(model: str, data: tuple[str, ...], start_s: float, end_s: float) -> Answer:
    """Judge a detector on labelled recordings.

    Recall and precision of every kind of attack, alarms beside the clean seconds that they rest
    on, and two baselines.  --from and --to cut each recording, in seconds from its first frame.
    """
    with terminal().working("evaluating"):
        report = et.evaluate(model, data, start_s=start_s, end_s=end_s)
    for recording in report.recordings:
        terminal().say(str(recording))
    return Answer(report.to_json(), report)


@verb("edgetrain inject drive.log --attacks dos,replay --seed 1 -o attacked.csv")
@click.argument("clean")
@click.option(
    "--attacks",
    default="all",
    show_default=True,
    metavar="KINDS",
    help="dos, fuzz, byte-fuzz, unknown, replay, burst, with commas between.",
)
@seed_option
@output_option
def inject(clean: str, attacks: str, seed: int, output: Path) -> Answer:
    """Insert fresh, labelled attacks into clean traffic."""
    from edgetrain.can.inject import KINDS, inject_file

    kinds = tuple(KINDS) if attacks == "all" else tuple(attacks.split(","))
    with terminal().working("injecting"):
        summary = inject_file(clean, kinds, seed, output)
    terminal().say(str(summary.report))
    found = asdict(summary)
    return Answer(found, facts({"output": output, **found, **found["per_kind"]}))


@verb("edgetrain refit can-ids-w2a2 drive.log -o my-car.onnx")
@click.argument("model")
@recordings
@output_option
def refit(model: str, data: tuple[str, ...], output: Path) -> Answer:
    """Fit a detector to another vehicle, without training.

    Learns the table of identifiers anew on clean recordings of that vehicle's traffic; network and
    alarm threshold stay.
    """
    from edgetrain.refit import refit_file

    with terminal().working("learning the table"):
        report = refit_file(model, data, output)
    for recording in report.recordings:
        terminal().say(str(recording))
    return Answer(asdict(report), facts(asdict(report)))
