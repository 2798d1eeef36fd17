"""From a model, named or on file, to a built project where a user expects it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from edgetrain.board import Board, load_board
from edgetrain.budget import fit_update, parse_bytes
from edgetrain.compiler.errors import InputError
from edgetrain.compiler.rules import Learning
from edgetrain.files import read_npz
from edgetrain.fpga.circuit import Circuit, check_circuit, has_front_end
from edgetrain.pipeline import CompileReport, Program, compile_model, write_project
from edgetrain.toolchain import Optimise
from edgetrain.workloads import model_file

MOST_STATE_BYTES = 2**26


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
    update: str = "all",
    budget_ram: int | str | None = None,
    precision: str | None = None,
    latent: str | None = None,
    loss_scale: float | str | None = None,
    rounding: str | None = None,
    seed: int = 0,
    mask: str | None = None,
    scales: str = "frozen",
    save_activations: str | None = None,
    options: Mapping[str, float | str] | None = None,
    dequantise: bool = False,
    state: str | Path | None = None,
    fold: str | None = None,
    budget_luts: int | None = None,
    budget_brams: int | None = None,
    target_latency: int | None = None,
) -> Program:
    """Compiles `model`, a file or a workload's name, for `board`.

    `learn` names a rule of `compiler.rules`; the device then also learns, by `loss` and with the
    learning rate `lr`, the weight decay `decay` and, of the rule momentum, `momentum`; `schedule`
    and what follows are how the rate changes (see `Learning`), `batch` the samples of a step.
    `update` says which parameters learn; or `budget_ram` how many bytes of RAM may be taken, of
    which as many learn as fit (see `fit_update`; the stack is counted where an image is built).

    `precision`, fp32 or fp16, is that of all numbers of a float model; of fp16, `loss_scale` is a
    power of two or `dynamic`, the default.  A quantised model is what it is, as w2a2, or pow2, with
    its weights rounded to 0 and powers of two; while it learns, its weights are kept as `latent`
    numbers of int16, int8 or fp16 too, and with the precision integer neither gradients nor steps
    are floats.  `rounding` is that of the parameters: `nearest`, or `stochastic` by random numbers.
    A float model keeps its activations for the backward pass as `save_activations` of int8, int4 or
    int2, if that is given.  `seed` is that of all random numbers; with the `mask` small only
    weights of small size learn; with `scales` learned the steps of a quantised model's weights
    learn too; `options` are the rule's own (`edgetrain rules`).

    `dequantise` makes a quantised model a float one (a CAN detector without its front end).
    `state` is a file that `export_state` wrote: the model as the device has learned it.

    An FPGA becomes a circuit as `fold` says: unrolled (without a CAN detector's front end), auto,
    or a file of foldings, of at most `budget_luts` LUTs, `budget_brams` block RAMs and
    `target_latency` cycles.  By default small networks that keep no state are unrolled.

    With `directory` the project is written there, image included unless `with_image` is false;
    without, nothing is.  Raises InputError.
    """
    how = Learning(
        loss=loss,
        rate=lr,
        decay=decay,
        momentum=momentum,
        schedule=schedule,
        schedule_steps=schedule_steps,
        schedule_factor=schedule_factor,
        warmup=warmup,
        batch=batch,
        update=update,
        precision=precision,
        latent=latent,
        loss_scale=loss_scale,
        rounding=rounding,
        seed=seed,
        mask=mask,
        scales=scales,
        save_activations=save_activations,
        options=tuple((options or {}).items()),
    )

    target = load_board(board) if isinstance(board, str) else board
    circuit = Circuit(fold, budget_luts, budget_brams, target_latency)
    check_circuit(target, circuit)
    front_end = has_front_end(target, circuit)

    def write(program: Program, place: str | Path) -> CompileReport:
        return write_project(
            program,
            place,
            toolchain=toolchain,
            optimise=optimise,
            with_image=with_image,
            circuit=circuit,
        )

    learned = None if state is None else read_npz(Path(state), MOST_STATE_BYTES)
    with model_file(model) as path:

        def compiled(update: str) -> Program:
            chosen = replace(how, update=update)
            return compile_model(
                path,
                target,
                learn=learn,
                how=chosen,
                dequantise=dequantise,
                state=learned,
                front_end=front_end,
            )

        if budget_ram is None:
            program = compiled(update)
        elif learn is None or update != "all":
            raise InputError(
                "--budget-ram chooses what learns", remedy="give --learn with it, and no --update"
            )
        else:
            program = _within(parse_bytes(budget_ram), compiled, write if directory else None)
    if directory is not None:
        write(program, directory)
    return program


def _within(
    limit: int,
    compiled: Callable[[str], Program],
    write: Callable[[Program, Path], CompileReport] | None,
) -> Program:
    def overhead(program: Program) -> int:
        """What the built image takes beside state and arena."""
        if write is None:
            return 0
        with TemporaryDirectory() as scratch:
            report = write(program, Path(scratch, "measured"))
        planned = program.state_bytes + program.arena_bytes
        return 0 if report.ram_bytes is None else report.ram_bytes - planned

    return fit_update(compiled, limit, overhead)


def default_directory(model: str | Path, board: str) -> Path:
    """build/<model>-<board>, whatever characters the file's name is made of."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(model).stem).strip("._-")[:64]
    return Path("build", f"{stem or 'model'}-{load_board(board).name}")
