"""The target that runs a project's image."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from edgetrain.board import Board, load_board
from edgetrain.compiler.errors import InputError
from edgetrain.fpga.simulators import best_simulator, simulator_image
from edgetrain.link import Link, open_link
from edgetrain.pipeline import Program, build_for_host
from edgetrain.toolchain import IMAGE_FILE


@contextmanager
def open_target(
    program: Program,
    directory: str | Path,
    link: str = "auto",
    *,
    count: bool = False,
    rebuild: bool = False,
) -> Iterator[Link]:
    """Whatever runs the image of `program`, the project in `directory`, behind `link`.

    A circuit is simulated, by a program that is built where it is missing.  With `rebuild`, the
    link `host` takes an image of another board's program, made anew for this
    machine, which keeps the contracts of that board.  `count` as for `open_link`.  Raises
    InputError where the image cannot be run, or the target runs another program.
    """
    if link == "auto" and (simulated := load_board(program.target)).simulators:
        link = best_simulator(simulated)
    with (
        _image(program, Path(directory), link, rebuild) as (board, image),
        open_link(board, image, link, count=count) as target,
    ):
        if target.hello().model_hash.hex() != program.sha256:
            raise InputError(
                "the target runs another program", where=str(directory), remedy="flash the image"
            )
        yield target


@contextmanager
def _image(
    program: Program, directory: Path, link: str, rebuild: bool
) -> Iterator[tuple[Board, Path]]:
    """The image to run, and the board that it is for."""
    board = load_board(program.target)
    if link in board.simulators:
        with simulator_image(program, directory, link) as image:
            yield board, image
        return
    if board.simulators and link != "host":
        known = ", ".join(("auto", *board.simulators, "host"))
        raise InputError(f"{link} does not run a circuit", remedy=f"known: {known}")
    if rebuild and link == "host" and board.architecture != "host":
        with TemporaryDirectory() as scratch:
            yield load_board("host"), build_for_host(program, Path(scratch))
        return
    image = directory / IMAGE_FILE
    if not image.is_file():
        raise InputError("holds no image", where=str(directory), remedy="compile it again")
    yield board, image
