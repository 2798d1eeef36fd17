"""The command line: one function a verb, which calls the library and shows what it returns."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import click
from rich.console import RenderableType

import edgetrain as et
from edgetrain.cli_support import MISMATCH, Answer, run, terminal, verb
from edgetrain.cli_tables import facts, listing

COMPLETION = """\b
Shell completion (bash; zsh and fish likewise):
  eval "$(_EDGETRAIN_COMPLETE=bash_source edgetrain)"
"""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=COMPLETION,
    invoke_without_command=True,
)
@click.version_option(et.__version__, prog_name="edgetrain")
@click.pass_context
def cli(context: click.Context) -> None:
    """Compile quantised networks to C for microcontrollers, and prove that every bit is right.

    Exit codes: 0 done; 1 a fault of edgetrain; 2 the input or the environment is at fault;
    3 target and simulator disagree.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


project = click.argument("directory", type=click.Path(path_type=Path))
board_option = click.option("--board", metavar="BOARD", help="See `edgetrain boards`.")
link_option = click.option(
    "--link",
    default="auto",
    show_default=True,
    metavar="LINK",
    help="auto, host, qemu, unicorn or serial:PORT[:BAUD].",
)
toolchain_option = click.option(
    "--toolchain",
    type=click.Choice(["auto", "zig", "gcc", "clang"]),
    default="auto",
    show_default=True,
    help="auto takes the first of the board's that is here.",
)
optimise_option = click.option(
    "--optimise",
    type=click.Choice(["speed", "flash", "ram"]),
    default="speed",
    show_default=True,
    help="What the compiler shall save.",
)
seed_option = click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True
)
output_option = click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="FILE"
)


@verb(
    cli,
    "edgetrain compile can-ids-w2a2 --board mps2-an386",
    "edgetrain compile can-ids-w2a2 --board host -o build/detector --no-build",
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
@click.option("--no-build", is_flag=True, help="Write the C sources, but build no image.")
@toolchain_option
@optimise_option
def compile(
    model: str, board: str, output: Path | None, no_build: bool, toolchain: str, optimise: Any
) -> Answer:
    """Compile a model for a board.

    MODEL is an ONNX file, or a name that `edgetrain workloads` lists.  QONNX, QDQ
    and float ONNX MLPs are read.  The project holds the C sources, the program for the simulator
    and the image, and appears whole or not at all.
    """
    from edgetrain.pipeline import read_report
    from edgetrain.project import default_directory

    directory = output or default_directory(model, board)
    with terminal().working(f"compiling for {board}"):
        et.compile(
            model,
            board,
            directory=directory,
            toolchain=toolchain,
            optimise=optimise,
            with_image=not no_build,
        )
    report = asdict(read_report(directory))
    return Answer(report, facts(report))


@verb(cli, "edgetrain verify build/can-ids-w2a2-mps2-an386 --samples 100")
@project
@click.option("--samples", type=click.IntRange(1), default=1000, show_default=True)
@seed_option
@link_option
def verify(directory: Path, samples: int, seed: int, link: str) -> Answer:
    """Compare target and simulator, bit for bit.

    Both run on the same data.  Inputs are drawn over their whole range; a CAN detector also
    gets synthetic traffic with attacks.
    """
    with terminal().working("verifying"):
        report = et.verify(directory, samples=samples, seed=seed, link=link)
    return compared(report, asdict(report), facts(asdict(report)))


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


@verb(cli, "edgetrain boards")
def boards() -> Answer:
    """List the boards."""
    from edgetrain.board import all_boards

    found = [
        {
            "name": board.name,
            "aliases": list(board.aliases),
            "description": board.description,
            "architecture": board.architecture,
            "core": board.core,
            "features": list(board.features),
            "silicon": board.silicon,
            "emulators": [kind for kind in ("qemu", "unicorn") if getattr(board, kind)],
            "toolchains": list(board.toolchain),
        }
        for board in all_boards()
    ]
    keys = ("name", "core", "emulators", "silicon", "description")
    return Answer({"boards": found}, listing(keys, ([b[key] for key in keys] for b in found)))


@verb(cli, "edgetrain demo --samples 200")
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


def main(arguments: Sequence[str] | None = None) -> None:
    """The command `edgetrain`; never returns."""
    sys.exit(run(cli, arguments, "edgetrain"))
