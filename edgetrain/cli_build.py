"""Verbs from a model to a verified board."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import click
from rich.console import RenderableType

import edgetrain as et
from edgetrain.cli_support import MISMATCH, Answer, output_option, seed_option, terminal, verb
from edgetrain.cli_tables import facts

project = click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
link_option = click.option(
    "--link",
    default="auto",
    show_default=True,
    metavar="LINK",
    help="auto, host, qemu, unicorn, rtlsim, csim or serial:PORT[:BAUD].",
)
toolchain_option = click.option(
    "--toolchain",
    type=click.Choice(["auto", "zig", "gcc", "clang"]),
    default="auto",
    show_default=True,
    help="auto: the first of the board's that is here.",
)
optimise_option = click.option(
    "--optimise",
    type=click.Choice(["speed", "flash", "ram"]),
    default="speed",
    show_default=True,
    help="What the compiler shall save.",
)


_CIRCUIT_OPTIONS = (
    click.option(
        "--fold",
        metavar="FORM",
        help="Of an FPGA: unrolled, auto, or a file of foldings as FINN's.  By default small "
        "networks that keep no state are unrolled.",
    ),
    click.option("--budget-luts", type=click.IntRange(1), help="Of --fold auto: look-up tables."),
    click.option(
        "--budget-brams", type=click.IntRange(0), help="Of --fold auto: block RAMs of 36 kbit."
    ),
    click.option(
        "--target-latency", type=click.IntRange(1), help="Of an FPGA: cycles of an inference."
    ),
)


def circuit_options(function: Callable[..., Answer]) -> Callable[..., Answer]:
    """How an FPGA's circuit is made."""
    for option in reversed(_CIRCUIT_OPTIONS):
        function = option(function)
    return function


class Comparison(Protocol):
    """The report of a verb that has compared target and simulator."""

    @property
    def bit_exact(self) -> bool: ...

    @property
    def first_mismatch(self) -> object: ...


def compared(report: Comparison, data: dict[str, Any], text: RenderableType) -> Answer:
    """Exit code 3 and what differs, unless all is equal."""
    if report.bit_exact:
        return Answer(data, text)
    return Answer(data, text, MISMATCH, f"mismatch: {report.first_mismatch}")


def setting(text: str) -> tuple[str, str]:
    """Name and value of NAME=VALUE.  Raises InputError."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise et.InputError(f"--set {text} sets nothing", remedy="give it as NAME=VALUE")
    return name, value


@verb(
    "edgetrain compile can-ids-w2a2 --board mps2-an386",
    "edgetrain compile can-ids-w2a2 --no-build -o build/sources",
    "edgetrain compile mlp-64-32-16-5-fp32 --learn adam --update last --batch 4 -o build/learner",
)
@click.argument("model")
@click.option("--board", default="host", show_default=True, help="See `edgetrain boards`.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Default: build/MODEL-BOARD.",
)
@click.option("--no-build", is_flag=True, help="Write the sources, but build no image.")
@click.option("--learn", metavar="RULE", help="The device learns by it: see `edgetrain rules`.")
@click.option(
    "--loss",
    type=click.Choice(["cross-entropy", "mse", "hinge", "bce", "multilabel"]),
    default="cross-entropy",
    show_default=True,
    help="What learning minimises.",
)
@click.option("--lr", type=float, default=0.01, show_default=True, help="The learning rate.")
@click.option("--decay", type=float, default=0.0, show_default=True, help="The weight decay.")
@click.option(
    "--momentum", type=float, default=0.9, show_default=True, help="Of the rule momentum."
)
@click.option(
    "--schedule",
    type=click.Choice(["constant", "step", "linear", "cosine"]),
    default="constant",
    show_default=True,
    help="How the learning rate changes.",
)
@click.option(
    "--schedule-steps",
    type=int,
    default=1000,
    show_default=True,
    help="After so many steps the rate has changed by the factor.",
)
@click.option(
    "--schedule-factor",
    type=float,
    default=0.1,
    show_default=True,
    help="What remains of the rate then.",
)
@click.option(
    "--warmup", type=int, default=0, show_default=True, help="Steps in which the rate rises first."
)
@click.option("--batch", type=int, default=1, show_default=True, help="Samples a training step.")
@click.option(
    "--update",
    default="all",
    show_default=True,
    metavar="SPEC",
    help="What learns: all, last, biases, layer0, w0, b0, output channels as w0[2:5], …",
)
@click.option(
    "--budget-ram", metavar="BYTES", help="Learn as much as this RAM holds, as 8000 or 64K."
)
@click.option(
    "--precision",
    metavar="P",
    help="fp32 or fp16 of a float model.  Of a quantised one, int8: 8-bit weights learn as they "
    "are; pow2: weights become 0 and powers of two; integer: no floats at all.",
)
@click.option(
    "--latent",
    type=click.Choice(["int16", "int8", "fp16"]),
    help="What a quantised model's weights are while they learn; int16 by default.",
)
@click.option(
    "--loss-scale", metavar="NUMBER", help="Of fp16: a power of two, or dynamic (the default)."
)
@click.option(
    "--rounding",
    type=click.Choice(["nearest", "stochastic"]),
    help="Of what learns; nearest by default, of int8 stochastic.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Of random numbers: of stochastic rounding, and of the rules that draw some.",
)
@click.option("--mask", type=click.Choice(["small"]), help="Only weights of small size learn.")
@click.option(
    "--scales",
    type=click.Choice(["frozen", "learned"]),
    default="frozen",
    show_default=True,
    help="Whether the steps of a quantised model's weights learn too.",
)
@click.option(
    "--save-activations",
    type=click.Choice(["int8", "int4", "int2"]),
    help="What a float model keeps of its activations for the backward pass; all by default.",
)
@click.option(
    "--set",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    callback=lambda _context, _parameter, given: dict(map(setting, given)),
    help="An option of the rule: see `edgetrain rules`.",
)
@click.option(
    "--dequantise",
    is_flag=True,
    help="Make a quantised model a float one; a CAN detector loses its front end.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    metavar="S.npz",
    help="Begin with what a device has learned: see `edgetrain state export`.",
)
@circuit_options
@toolchain_option
@optimise_option
def compile(model: str, board: str, output: Path | None, no_build: bool, **options: Any) -> Answer:
    """Compile a model for a board.

    MODEL is an ONNX file, or a name that `edgetrain workloads` lists.  QONNX, QDQ and float ONNX
    MLPs are read, and onnxruntime's training graphs of them.  The project holds the C sources, the
    program for the simulator and as ONNX, and the image, and appears whole or not at all.  That of
    an FPGA holds Verilog and HLS C++ instead, and nothing is built.
    """
    from edgetrain.pipeline import read_report
    from edgetrain.project import default_directory

    directory = output or default_directory(model, board)
    with terminal().working(f"compiling for {board}"):
        et.compile(
            model,
            board,
            directory=directory,
            with_image=not no_build,
            **options,
        )
    report = asdict(read_report(directory))
    return Answer(report, facts({name: v for name, v in report.items() if v is not None}))


@verb("edgetrain simulate build/can-ids-w2a2-mps2-an386 --input x.npy -o y.npz")
@project
@click.option(
    "--input",
    "inputs",
    type=click.Path(path_type=Path),
    required=True,
    metavar="X.npy",
    help="Array (batch, features) in the model's own domain.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="Y.npz",
    help="outputs in the model's own domain, and codes, the device's integers; or the losses.",
)
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    metavar="Y.npy",
    help="Learn: a class, or for --loss mse a vector, of each input.",
)
@click.option(
    "--steps", type=click.IntRange(1), help="Training steps.  Default: once through the inputs."
)
def simulate(
    directory: Path, inputs: Path, output: Path | None, labels: Path | None, steps: int | None
) -> Answer:
    """Run a compiled program in NumPy.

    With --labels the simulated device learns, and keeps what it has learned: see `edgetrain state`.
    """
    from edgetrain.simulate import simulate, simulate_training

    with terminal().working("simulating"):
        if labels is not None:
            report = asdict(simulate_training(directory, inputs, labels, steps, output))
        elif steps is not None:
            raise et.InputError("--steps without --labels", remedy="give the labels to learn from")
        else:
            report = asdict(simulate(directory, inputs, output))
    return Answer(report, facts(report))


@verb(
    "edgetrain verify build/can-ids-w2a2-mps2-an386 --samples 100",
    "edgetrain verify build/learner --samples 100 --steps 500",
)
@project
@click.option("--samples", type=click.IntRange(1), default=1000, show_default=True)
@click.option(
    "--steps",
    type=click.IntRange(1),
    help="Training steps of a device that learns.  Default: as many as samples.",
)
@seed_option
@link_option
def verify(directory: Path, samples: int, steps: int | None, seed: int, link: str) -> Answer:
    """Compare target and simulator, bit for bit.

    Both run on the same data.  Inputs are drawn over their whole range; a CAN detector also gets
    synthetic traffic with attacks.  Of a device that learns, each loss and all state are compared.
    """
    with terminal().working("verifying"):
        report = et.verify(directory, samples=samples, steps=steps, seed=seed, link=link)
    return compared(report, asdict(report), facts(asdict(report)))


@verb(
    "edgetrain bench can-ids-w2a2 --board qemu-rv32imc",
    "edgetrain bench mlp-64-32-16-5-fp32 --board mps2-an386",
    "edgetrain bench build/can-ids-w2a2-mps2-an386",
    "edgetrain bench can-ids-w2a2 --board zcu104",
)
@click.argument("workload", metavar="WORKLOAD-or-DIR")
@click.option("--board", help="See `edgetrain boards`; of a project, its own.")
@click.option(
    "--phase", type=click.Choice(["infer", "train"]), help="Default: what the workload is for."
)
@click.option("--samples", type=click.IntRange(1), default=20, show_default=True)
@seed_option
@link_option
@circuit_options
@toolchain_option
@optimise_option
def bench(
    workload: str,
    board: str | None,
    fold: str | None,
    budget_luts: int | None,
    budget_brams: int | None,
    target_latency: int | None,
    **options: Any,
) -> Answer:
    """Measure one inference or one training step on a target.

    Instructions are the mean over the samples; what the target computes is compared with the
    simulator too.  Of an FPGA it is cells, counted by Yosys before place and route and without the
    AXI interfaces, and cycles.
    """
    from edgetrain.fpga.circuit import Circuit

    with terminal().working("measuring"):
        circuit = Circuit(fold, budget_luts, budget_brams, target_latency)
        report = et.bench(workload, board, circuit=circuit, **options)
    return compared(report, asdict(report), facts(asdict(report)))


@verb("edgetrain demo --samples 200")
@click.option("--samples", type=click.IntRange(1), default=1000, show_default=True)
@seed_option
@link_option
def demo(samples: int, seed: int, link: str) -> Answer:
    """Run the shipped CAN detector on emulated boards.

    Compiles it for a Cortex-M4 and an RV32IMC, streams CAN frames with attacks through both
    firmwares and compares every bit with the simulator.
    """
    from edgetrain.demo import demo

    with terminal().working("demo") as progress:
        report = demo(samples=samples, seed=seed, link=link, progress=progress)
    return compared(report, report.to_json(), report)


@verb("edgetrain report build/can-ids-w2a2-mps2-an386")
@project
def report(directory: Path) -> Answer:
    """Write a page on a project: memory map, sizes, calls."""
    from edgetrain.report import write_report

    html = {"html": str(write_report(directory))}
    return Answer(html, facts(html))


@click.group()
def state() -> None:
    """Take learned state off a device, or put it on."""


target_option = click.option(
    "--link", metavar="LINK", help="The device: as for verify; default: the simulator."
)


@verb("edgetrain state export build/can-ids-w2a2-mps2-an386 -o state.npz", name="export")
@project
@output_option
@target_option
def export_state(directory: Path, output: Path, link: str | None) -> Answer:
    """Write the state of a device to a file."""
    from edgetrain.state import export_state

    found = asdict(export_state(directory, output, link))
    return Answer(found, facts(found))


@verb("edgetrain state import build/can-ids-w2a2-mps2-an386 state.npz", name="import")
@project
@click.argument("file", metavar="STATE.npz", type=click.Path(path_type=Path))
@target_option
def import_state(directory: Path, file: Path, link: str | None) -> Answer:
    """Give the state in a file to a device."""
    from edgetrain.state import import_state

    found = asdict(import_state(directory, file, link))
    return Answer(found, facts(found))


state.add_command(export_state)
state.add_command(import_state)
