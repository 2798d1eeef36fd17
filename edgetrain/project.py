"""From a model, named or on file, to a built project where a user expects it."""

import re
from pathlib import Path

from edgetrain.board import Board, load_board
from edgetrain.compiler.rules import Learning
from edgetrain.pipeline import Program, compile_model, write_project
from edgetrain.toolchain import Optimise
from edgetrain.workloads import model_file


def compile_project(
    model: str | Path,
    board: str | Board = "host",
    *,
    directory: str | Path | None = None,
    toolchain: str = "auto",
    optimise: Optimise = "speed",
    with_image: bool = True,
    learn: str | None = None,
    loss: str = "cross-entropy",
    lr: float = 0.01,
    decay: float = 0.0,
    momentum: float = 0.9,
    schedule: str = "constant",
    schedule_steps: int = 1000,
    schedule_factor: float = 0.1,
    warmup: int = 0,
    batch: int = 1,
) -> Program:
    """Compiles `model`, a file or a workload's name, for `board`.

    `learn` names a rule of `compiler.rules`; the device then also learns, by `loss` and with the
    learning rate `lr`, the weight decay `decay` and, of the rule momentum, `momentum`; `schedule`
    and what follows are how the rate changes (see `Learning`), `batch` the samples of a step.

    With `directory` the project is written there, image included unless `with_image` is false;
    without, nothing is.  Raises InputError.
    """
    how = None
    if learn is not None:
        how = Learning(loss, lr, decay, momentum, schedule, schedule_steps, schedule_factor, warmup)
    with model_file(model) as path:
        program = compile_model(path, board, learn=learn, how=how)
    if directory is not None:
        write_project(
            program, directory, toolchain=toolchain, optimise=optimise, with_image=with_image
        )
    return program


def default_directory(model: str | Path, board: str) -> Path:
    """build/<model>-<board>, whatever characters the file's name is made of."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(model).stem).strip("._-")[:64]
    return Path("build", f"{stem or 'model'}-{load_board(board).name}")
