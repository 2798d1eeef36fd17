"""The command line: every verb by name, and the entry point."""

import sys
from collections.abc import Sequence

import click

from edgetrain.cli_build import bench, compile, demo, report, simulate, state, verify
from edgetrain.cli_can import evaluate, inject, refit, train
from edgetrain.cli_lists import boards, doctor, ops, rules, workloads
from edgetrain.cli_support import run
from edgetrain.version import VERSION

COMPLETION = """\b
Shell completion (bash; zsh and fish likewise):
  eval "$(_EDGETRAIN_COMPLETE=bash_source edgetrain)"
"""
VERBS = (
    *(bench, boards, compile, demo, doctor, evaluate, inject, ops, refit),
    *(report, rules, simulate, state, train, verify, workloads),
)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=COMPLETION,
    invoke_without_command=True,
)
@click.version_option(VERSION, message="%(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Compile quantised networks to C for microcontrollers, and prove that every bit is right.

    Exit codes: 0 done; 1 a fault of edgetrain; 2 the input or the environment is at fault;
    3 target and simulator disagree.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in VERBS:
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command `edgetrain`; never returns."""
    sys.exit(run(cli, arguments, "edgetrain"))
